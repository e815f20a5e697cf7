"""Words that decide whether two names are one product: spellings, variants, containers.

General knowledge about Korean product names, kept by hand. A word that stands in only one of two
names has two meanings: `제로` makes another product of it, `오리지널` does not. Only words of the
first sort are in `VARIANTS`; `FACETS` decide only where both names have one and they differ.
"""

from __future__ import annotations

import re
from collections import Counter

# One product, several spellings, loanword and translation: the left is written as the right. A
# word that stays as it is stands here to keep a shorter one inside it from being found.
_SPELLINGS: dict[str, str] = {
    spelled: word
    for word, spellings in {
        "초코": "초콜릿 초콜렛 쵸콜릿 쵸코 쇼콜라 초코",
        "오리지널": "오리지날 original",
        "카라멜": "캐러멜 캬라멜",
        "소시지": "소세지",
        "프랑크": "후랑크",
        "케이크": "케익",
        "주스": "쥬스",
        "쿠키앤크림": "쿠앤크 쿠키&크림 쿠키크림 쿠키n크림",
        "딸기": "스트로베리",
        "블루베리": "블루베리",
        "라즈베리": "라즈베리",
        "크랜베리": "크랜베리",
        "포도": "그레이프",
        "자몽": "그레이프후르츠 그레이프프루트",
        "사과": "애플",
        "파인애플": "파인애플",
        "청사과": "그린애플 풋사과",
        "복숭아": "피치",
        "땅콩": "피넛",
        "마늘": "갈릭",
        "꿀": "허니",
        "녹차": "그린티",
        "밀크티": "밀크티",
        "밀크": "밀크",
        "멜론": "메론",
        "샤인머스캣": "샤인머스켓",
        "머스캣": "머스켓",
        "재스민": "자스민",
        "요거트": "요구르트 요쿠르트 요거",
        "요거트드링크": "요거트드링크",
        "슈퍼": "수퍼",
        "아메": "아메리카노",
        "라떼": "라테",
        "엠앤엠": "m&ms m&m 엠앤엠즈",
        "top": "티오피",
        "ex": "이엑스",
        "uno": "우노",
        "프로틴": "단백질",
        "바비큐": "바베큐 바베쿠 bbq",
        "모이스처": "모이스춰",
        "프레시": "후레쉬 프레쉬 후레시 fresh",
        "셰이크": "쉐이크",
        "plus": "플러스",
        "max": "맥스",
        "mix": "믹스",
        "gold": "골드",
        "new": "뉴",
        "에티오피아": "에티오피아",
        "맥스웰": "맥스웰",
        "맥스봉": "맥스봉",
        "무가당": "무설탕 설탕무첨가 슈거프리 슈가프리",
        "제로": "zero",
        "라이트": "light",
        "디카페인": "디카페 디카프",
        "무알콜": "논알콜 무알코올 논알코올",
        "소고기": "쇠고기",
        "린스": "컨디셔너",
        "대형": "라지",
        "도넛": "도너츠 도너스",
        "옐로우": "옐로",
        "블랙페퍼": "블랙페퍼",
        "꿀단지": "꿀딴지",
        "땡큐": "땡큐",
        "염색": "염모 염색약 염모제 염색제",
        "후르츠": "프루트 후르트 후룻 푸르츠 프루츠",
    }.items()
    for spelled in (*spellings.split(), word)
}


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Each makes another product, also where only one name has it.
VARIANTS = _words(
    # what is left out
    "제로 라이트 무가당 저당 디카페인 저칼로리 저지방 무지방 무알콜",
    # fruit
    "라임 레몬 오렌지 자몽 복숭아 사과 청사과 포도 청포도 샤인머스캣 머스캣 망고 파인애플 딸기",
    "블루베리 라즈베리 크랜베리 체리 수박 멜론 바나나 코코넛 키위 매실 자두 유자 한라봉 천혜향",
    "감귤 청귤 석류 알로에 리치 무화과 살구 토마토",
    # coffee, tea, sweets, nuts
    "커피 라떼 모카 헤이즐넛 카라멜 에스프레소 콜드브루 바닐라 초코 말차 녹차 홍차 얼그레이",
    "연유 쿠키앤크림 민트 시나몬 흑당 흑임자 인절미 단팥 땅콩 아몬드 호두 피스타치오 마카다미아",
    "캐슈 고구마 감자 옥수수 호박 밀크티 체다 솔티드",
    # savoury
    "마늘 양파 부추 와사비 김치 갈비 불고기 데리야끼 양념 마라 짜장 카레 로제 까르보 바비큐",
    "스파이시 돼지 새우 오징어 참치 연어 멸치 베이컨 스팸 매운 순한",
    # grain
    "현미 흑미 잡곡 오곡 찹쌀 통밀 호밀 검은콩",
    # colour
    "블랙 화이트 다크 퍼플",
)

# Two different ones are a contradiction; one alone says nothing.
FACETS = _words(
    "오리지널 플레인 매콤 청양 소고기 치킨 두부 치즈 버터 요거트 우유 고추 보리 아메 밀크",
    "샴푸 린스 트리트먼트 로션 세럼 오일 드럼 일반",
    "대형 중형 소형 오버나이트 라이너 탐폰",
    "레드 블루 그린 핑크 옐로우 검정 흰색 베이지",
    "여성 남성 냉동 냉장",
)

_CONTAINERS: dict[str, str] = {
    **dict.fromkeys(("컵", "사발", "용기"), "cup"),
    **dict.fromkeys(("펫", "페트", "pet", "병"), "bottle"),
    **dict.fromkeys(("봉지",), "bag"),
    **dict.fromkeys(("캔",), "can"),
    **dict.fromkeys(("리필",), "refill"),
}
# "P500" is a PET bottle; "16P" are sixteen pieces.
_PET = re.compile(r"(?<![a-z\d])p\d{3}")
# Pads and masks come large, middle and small, said by one letter before the count: "슈퍼롱대16p".
_PAD_SIZE = re.compile(r"(대|중|소)(?:형)?(?=\d+(?:p|입|매|개))")


def _longest_first(words: object) -> re.Pattern[str]:
    assert isinstance(words, dict | frozenset), "a table of words"
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(re.escape(word) for word in ordered))


_SPELLED = _longest_first(_SPELLINGS)
_DECIDING = _longest_first(VARIANTS | FACETS | {"애플망고", "블랙페퍼", "블랙보리"})


def one_spelling(normalised: str) -> str:
    """Return a normalised name with every word of the table in its one spelling."""
    text = _PAD_SIZE.sub(r"\1형", normalised)
    return _SPELLED.sub(lambda found: _SPELLINGS[found[0]], text)


def deciding_words(spelled: str) -> Counter[str]:
    """Return how often each variant and facet stands in a name of `one_spelling`.

    `콜라제로제로` has `제로` twice: it is not `콜라제로`.
    """
    return Counter(_DECIDING.findall(spelled))


def containers(normalised: str) -> frozenset[str]:
    """Return what a normalised name says it is filled in: of `cup bottle bag can refill`."""
    found = {kind for word, kind in _CONTAINERS.items() if word in normalised}
    if _PET.search(normalised):
        found.add("bottle")
    return frozenset(found)
