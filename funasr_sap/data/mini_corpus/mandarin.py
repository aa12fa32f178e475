"""Mandarin of lectures: a small grammar of common words, compact because it serves data checks only."""

from collections.abc import Sequence

from funasr_sap.data.mini_corpus.grammar import Grammar

RULES = {
    "SENTENCE": [
        "3 CLAUSE",
        "2 INTRO CLAUSE",
        "2 LEAD NP",
        "2 LEAD NP 和 NP",
        "1 NP 是不是 NP",
        "1 为什么 NP VERB NP",
        "1 如果 CLAUSE 那么 CLAUSE",
        "1 因为 CLAUSE 所以 CLAUSE",
    ],
    "CLAUSE": [
        "3 NP VERB NP",
        "2 NP ADVERB VERB NP",
        "2 NP 是 NP",
        "2 NP DEGREE ADJECTIVE",
        "1 NP 在 NP 里面 VERB NP",
        "1 NP 被 NP VERB 了",
        "1 PRONOUN 认为 CLAUSE",
    ],
    "NP": [
        "3 NOUN",
        "2 NAME",
        "1 PRONOUN",
        "2 DETERMINER NOUN",
        "2 ADJECTIVE 的 NOUN",
        "1 NOUN 的 NOUN",
        "1 NUMBER NOUN",
    ],
}

CLASSES = {
    "NOUN": """
        问题 方法 系统 模型 数据 学生 老师 大学 城市 国家 历史 文化 语言 声音 图片 电影
        音乐 医生 公司 市场 价格 社会 科学 技术 理论 实验 结果 例子 故事 河流 山 海洋
        植物 动物 森林 机器 电脑 网络 信号 能量 材料 书 文章 朋友 家庭 时间 地方 世界
    """,
    "NAME": "北京 上海 中国 美国 日本 英国 法国 小王 小李 老张",
    "VERB": """
        研究 使用 发现 解释 介绍 分析 比较 改变 提高 减少 保护 支持 影响 需要 选择 建立
        控制 测量 描述 讨论 了解 学习 看到 得到
    """,
    "ADJECTIVE": "重要 简单 复杂 美丽 有趣 普通 特别 清楚 困难 古老 现代 巨大 安静 快速 强大 新鲜",
    "ADVERB": "已经 可以 常常 也 不 会 应该 一直 正在 可能 必须 没有",
    "DEGREE": "很 非常 比较 不太 特别 十分",
    "PRONOUN": "我们 他们 大家 你们 我 他 她 它",
    "DETERMINER": "这个 那个 每个 一个 这些 那些 我们的",
    "NUMBER": "两个 三个 四个 五种 六个 十个 二十个 一百个",
    "INTRO": "也就是说 大家知道 比如 其实 另外 首先 最后 换句话说 从这里可以看到",
    "LEAD": "我们来看一下 下一页介绍 今天我们讨论 这张图是 接下来是 请大家看 下面讲",
}

SLOTS = ("NOUN", "NAME", "ADJECTIVE")

TITLES = ["RARE 和 RARE", "RARE 介绍", "RARE 的 NOUN", "RARE"]
BULLETS = ["RARE", "RARE NOUN", "ADJECTIVE 的 RARE", "RARE 和 RARE", "RARE 的 NOUN", "ADJECTIVE NOUN"]


def make_grammar() -> Grammar:
    """The grammar of Mandarin lecture sentences of 4 to 12 words."""
    return Grammar(RULES, CLASSES, SLOTS, lengths=(4, 12))


def join(words: Sequence[str]) -> str:
    """Join words to a text: Mandarin has no spaces."""
    return "".join(words)
