"use strict";
// Of an alarm: shares in per cent, with the digits that the terminal gives them.
const amount = (kind, value) => value !== null && /^(volatility|memory)/.test(kind) ? `${Number((100 * value).toPrecision(3))} %` : number(value);
const WORDS = {
  en: {
    run: "Run", compare: "Compare with", nothing: "–", whole: "Whole range", stop: "Save and stop", pause: "Pause", resume: "Go on", checkpoint: "Save a checkpoint", events: "Events", samples: "Samples", config: "Configuration",
    live: "live", step: "Step", loss: "Loss", raw: "each step", smoothed: "smoothed", validation: "validation", rate: "Learning rate", grad: "Gradient norm", volatility: "Loss volatility, %",
    wave: "Volatility", memory: "Memory", speed: "Tokens per second", left: "Time left", status: "State", log: "log", seconds: "seconds", share: "Memory, % of what the run may use", amount: "Memory, MiB",
    none: "No runs yet: hone train FILE.yaml starts one.", lost: "The connection is lost; trying again …", ended: status => `The run has ended (${status}). hone panel shows it from now on.`,
    sure: "Save the run and stop it now? It can be continued with --resume.", taken: "The run does so after this step.", refused: "The run did not take this: ",
    change_rate: "Learning rate …", factor: now => `By what is the scheduled learning rate multiplied from the next step on? 1: as configured; now: ${now}`, sure_rate: f => `Train with ${f} × the scheduled learning rate from the next step on?`,
    alarm: a => `${a.count} ×, steps ${a.first}–${a.last}, worst ${amount(a.kind, a.worst)} (bound ${amount(a.kind, a.bound)})`,
    alarms: { grad_norm_high: "Gradient norm above its band", grad_norm_low: "Gradient norm below its band", volatility: "The loss fluctuates", memory_high: "Memory runs short", memory_low: "Memory is left over",
      not_finite: "A loss or gradient is not finite", loss_rises: "The loss rises", overfitting: "The validation loss rises" },
    statuses: {}, advice: {},
    hint: "Drag to zoom, double-click for the whole range.", hint_touch: "Drag sideways or stretch with two fingers to zoom.", empty: "No values yet", licenses: "Charts: uPlot. Licences",
  },
  zh: {
    run: "训练", compare: "对比", nothing: "无", whole: "全部范围", stop: "保存并停止", pause: "暂停", resume: "继续", checkpoint: "保存检查点", events: "事件", samples: "生成样例", config: "配置",
    live: "进行中", step: "步数", loss: "损失", raw: "每步", smoothed: "平滑", validation: "验证", rate: "学习率", grad: "梯度范数", volatility: "损失波动率（%）",
    wave: "波动率", memory: "内存", speed: "每秒词元数", left: "剩余时间", status: "状态", log: "对数", seconds: "秒", share: "内存（占可用内存的 %）", amount: "内存（MiB）",
    none: "还没有训练记录：用 hone train FILE.yaml 开始。", lost: "连接已断开，正在重试……", ended: status => `训练已结束（${status}）。之后可用 hone panel 查看。`,
    sure: "现在保存并停止训练吗？之后可用 --resume 继续。", taken: "这一步完成后执行。", refused: "操作未被接受：",
    change_rate: "学习率…", factor: now => `从下一步起，计划学习率乘以多少？1 为配置值；当前：${now}`, sure_rate: f => `从下一步起以 ${f} × 计划学习率训练吗？`,
    alarm: a => `${a.count} 次，第 ${a.first}–${a.last} 步，最差 ${amount(a.kind, a.worst)}（界限 ${amount(a.kind, a.bound)}）`,
    alarms: { grad_norm_high: "梯度范数高于正常范围", grad_norm_low: "梯度范数低于正常范围", volatility: "损失波动过大", memory_high: "内存紧张", memory_low: "内存有富余",
      not_finite: "损失或梯度不是有限数", loss_rises: "损失上升", overfitting: "验证损失上升" },
    statuses: { running: "训练中", paused: "已暂停", done: "完成", "stopped early": "提前停止", interrupted: "已中断", failed: "失败", stopped: "已停止" },
    advice: {
      grad_norm_high: "降低 training.learning_rate 或 optimizer.max_grad_norm，延长 schedule.warmup_ratio，并检查这些步的数据行。",
      grad_norm_low: "几乎没有学到东西：提高 training.learning_rate，用 --dry-run 确认回答部分参与训练；若损失已很低，可以停止。",
      volatility: "增大 training.gradient_accumulation 或 batch_size，使各步更接近；或降低 training.learning_rate。",
      memory_high: "减小 data.cutoff_length，开启 training.gradient_checkpointing，或使用 model.quantization: nf4。",
      memory_low: "内存充足：可以关闭 gradient_checkpointing，或为被截断的样本增大 data.cutoff_length。",
      not_finite: "该次更新已跳过：降低 training.learning_rate，设置 optimizer.max_grad_norm，并检查事件中列出的数据行。",
      loss_rises: "训练发散：降低 training.learning_rate，并从较早的检查点继续。",
      overfitting: "模型在背诵训练数据：停止训练（early_stop: true）、减少轮数、增加数据或设置 lora.dropout。",
    },
    hint: "拖动放大，双击恢复全部范围。", hint_touch: "横向拖动或双指张开可放大。", empty: "还没有数值", licenses: "图表：uPlot · 许可证",
  },
};
