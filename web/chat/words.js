"use strict";
const WORDS = {
  en: {
    model: "Model", models: "Models", settings: "Settings", fresh: "New chat", send: "Send", stop: "Stop", other: "中文",
    welcome: "Ask something. The answer is computed on this machine; nothing leaves it.", hint: "Message", name: "Name", family: "Family", size: "Size", type: "Weights", state: "State",
    system: "System message", temperature: "Temperature (0: always the likeliest)", length: "Longest answer, in tokens", seed: "Seed (empty: a new one each time)",
    loaded: "in memory", idle: "on disk", adapter: "adapter of", thoughts: "Reasoning", none: "no model is served", stopped: "stopped", cut: "cut off at the longest answer",
    use: (count, bytes) => `${count} in memory, ${bytes} of weights`, speed: (tokens, speed) => `${tokens} tokens, ${speed} per second`, failed: "The server does not answer: ", broken: "The answer broke off.", retry: "Try again",
  },
  zh: {
    model: "模型", models: "模型", settings: "设置", fresh: "新对话", send: "发送", stop: "停止", other: "English",
    welcome: "请提问。回答就在这台机器上计算，数据不会离开它。", hint: "输入消息", name: "名称", family: "系列", size: "大小", type: "权重", state: "状态",
    system: "系统消息", temperature: "温度（0：总取最可能的词）", length: "回答的最大长度（词元）", seed: "随机种子（留空：每次不同）",
    loaded: "在内存中", idle: "在磁盘上", adapter: "适配器，基于", thoughts: "推理过程", none: "没有可用的模型", stopped: "已停止", cut: "达到最大长度，已截断",
    use: (count, bytes) => `内存中有 ${count} 个模型，权重共 ${bytes}`, speed: (tokens, speed) => `${tokens} 个词元，每秒 ${speed} 个`, failed: "服务器没有响应：", broken: "回答中断了。", retry: "重试",
  },
};
