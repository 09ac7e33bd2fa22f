"use strict";
const WORDS = {
  en: {
    title: "Review", nobody: "Name", whoAreYou: "Who reviews?", nameUse: "Your decisions are kept under this name. Use the same one in every sitting.", name: "Name", begin: "Begin",
    summary: "Summary", keys: "Keys", reason: "Reason (needed to reject)", accept: "Accept", edit: "Save edit", reject: "Reject", back: "Back", forward: "Forward", next: "Next open", undo: "Withdraw",
    done: "You have decided about every row. Thank you.", unreachable: "The server does not answer. Nothing you see was lost, but this decision is not saved yet.", needReason: "Say why the row is rejected.", nothingEdited: "No text was changed.", unsaved: "Texts were changed: save the edit (E), or reload the row (Esc).",
    position: (row, rows, mine) => `row ${row} of ${rows} · ${mine} decided by you`, own: "Your decision", others: "Decisions of others", verdicts: { accept: "accepted", edit: "edited", reject: "rejected" },
    outcomes: { open: "open", accepted: "accepted", edited: "accepted, edited", rejected: "rejected", disputed: "disputed" }, outcome: "Outcome", rows: "Rows", reviewer: "Reviewer", decided: "Decided", agreement: "Agreement", both: "Rows both decided", same: "Same decision",
    figures: (a) => `${a.rows} rows with two decisions or more · Fleiss' kappa ${figure(a.fleiss_kappa)} (rows that everybody decided) · Krippendorff's alpha ${figure(a.krippendorff_alpha)}`, aside: (n) => `${n} decisions are about rows that the file no longer holds.`, malformed: (n) => `${n} malformed rows cannot be reviewed.`,
    key: "Key", does: "Does", keyList: [["A", "accept"], ["E", "save the edited texts"], ["R", "reject; asks for a reason"], ["J / K", "next / previous row"], ["N", "next row you have not decided"], ["U", "withdraw your decision"], ["Esc", "leave a text; again: undo its changes"], ["Ctrl+Enter", "in a text: save the edit"]],
  },
  zh: {
    title: "审核", nobody: "姓名", whoAreYou: "谁在审核？", nameUse: "您的决定将记在这个名字下，请每次使用同一个名字。", name: "姓名", begin: "开始",
    summary: "汇总", keys: "快捷键", reason: "理由（拒绝时必填）", accept: "接受", edit: "保存修改", reject: "拒绝", back: "上一条", forward: "下一条", next: "下一条未决", undo: "撤回",
    done: "所有数据您都已审核，谢谢。", unreachable: "服务器没有响应。已保存的内容不会丢失，但这次决定尚未保存。", needReason: "请说明拒绝的理由。", nothingEdited: "没有修改任何文字。", unsaved: "文字已修改：请保存修改（E），或按 Esc 恢复原文。",
    position: (row, rows, mine) => `第 ${row} 条，共 ${rows} 条 · 您已审核 ${mine} 条`, own: "您的决定", others: "其他人的决定", verdicts: { accept: "接受", edit: "修改", reject: "拒绝" },
    outcomes: { open: "未决", accepted: "接受", edited: "修改后接受", rejected: "拒绝", disputed: "有争议" }, outcome: "结果", rows: "条数", reviewer: "审核人", decided: "已审核", agreement: "一致性", both: "共同审核", same: "决定相同",
    figures: (a) => `${a.rows} 条有两人以上审核 · Fleiss kappa ${figure(a.fleiss_kappa)}（所有人都审核过的数据）· Krippendorff alpha ${figure(a.krippendorff_alpha)}`, aside: (n) => `${n} 个决定对应的数据已不在文件中。`, malformed: (n) => `${n} 条格式错误的数据无法审核。`,
    key: "按键", does: "作用", keyList: [["A", "接受"], ["E", "保存修改后的文字"], ["R", "拒绝（需填写理由）"], ["J / K", "下一条 / 上一条"], ["N", "下一条未审核的数据"], ["U", "撤回您的决定"], ["Esc", "离开文本框；再按一次恢复原文"], ["Ctrl+Enter", "在文本框中：保存修改"]],
  },
};
