"use strict";
const WORDS = {
  en: {
    title: "Rating", nobody: "Name", whoAreYou: "Who rates?", nameUse: "Your ratings are kept under this name. Use the same one in every sitting.", name: "Name", begin: "Begin",
    single: "Answers", pairs: "Pairs", summary: "Agreement", keys: "Keys", save: "Save", back: "Back", forward: "Forward", next: "Next open", left: "First is better", right: "Second is better", tie: "Equal",
    question: "Question", expected: "Expected", answer: "Answer", first: "First answer", second: "Second answer", empty: "(empty)", done: "You have rated everything here. Thank you.",
    unreachable: "The server does not answer. What was saved is kept, but this rating is not saved yet.", incomplete: "Rate all three from 1 (worst) to 5 (best).",
    position: (at, of, rated) => `${at} of ${of} · ${rated} rated by you`, dimensions: { relevance: "Relevance", fluency: "Fluency", professionalism: "Professionalism" },
    rater: "Rater", rated: "Answers", compared: "Pairs", dimension: "Dimension", ratings: "Ratings", pairAgreement: "Pairs", key: "Key", does: "Does",
    keyList: [["1 – 5", "rate the marked dimension; the next one is marked"], ["Enter", "save"], ["↑ / ↓", "mark another dimension"], ["1 / 2 / 0", "pairs: first / second is better / equal"], ["J / K", "next / previous"], ["N", "next one you have not rated"], ["P", "answers or pairs"]],
  },
  zh: {
    title: "评分", nobody: "姓名", whoAreYou: "谁在评分？", nameUse: "您的评分将记在这个名字下，请每次使用同一个名字。", name: "姓名", begin: "开始",
    single: "逐条评分", pairs: "两两比较", summary: "一致性", keys: "快捷键", save: "保存", back: "上一条", forward: "下一条", next: "下一条未评", left: "第一个更好", right: "第二个更好", tie: "不相上下",
    question: "问题", expected: "参考答案", answer: "回答", first: "第一个回答", second: "第二个回答", empty: "（空）", done: "所有内容您都已评分，谢谢。",
    unreachable: "服务器没有响应。已保存的评分不会丢失，但这次评分尚未保存。", incomplete: "三项都请评分：1 最差，5 最好。",
    position: (at, of, rated) => `第 ${at} 条，共 ${of} 条 · 您已评 ${rated} 条`, dimensions: { relevance: "相关性", fluency: "流畅性", professionalism: "专业性" },
    rater: "评分人", rated: "已评回答", compared: "已比较", dimension: "维度", ratings: "评分数", pairAgreement: "两两比较", key: "按键", does: "作用",
    keyList: [["1 – 5", "为当前维度评分，并转到下一维度"], ["Enter", "保存"], ["↑ / ↓", "切换维度"], ["1 / 2 / 0", "两两比较：第一个 / 第二个更好 / 不相上下"], ["J / K", "下一条 / 上一条"], ["N", "下一条未评"], ["P", "逐条评分或两两比较"]],
  },
};
