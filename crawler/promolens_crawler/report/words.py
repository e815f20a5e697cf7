"""Korean and English words of the report."""

from __future__ import annotations

from datetime import datetime

from promolens_crawler.status import age_text


def age_words(then: datetime, now: datetime) -> tuple[str, str]:
    """Return how long ago, in Korean and in English."""
    english = age_text(then, now)
    amount, unit, _ = english.split()
    korean = {"min": "분", "h": "시간", "days": "일"}[unit]
    return f"{amount}{korean} 전", english


SOURCE_STATES = {
    "never": ("아직 없음", "never crawled"),
    "ok": ("정상", "ok"),
    "stale": ("오래됨", "stale"),
    "gone": ("목록 사라짐", "gone"),
}
CRAWL_STATES = {
    "running": ("진행 중", "running"),
    "staged": ("읽기 끝", "read"),
    "published": ("발행됨", "published"),
    "held": ("보류", "held"),
    "failed": ("실패", "failed"),
}
SNAPSHOT_STATES = {
    "published": ("발행 중", "published"),
    "superseded": ("지난 발행", "superseded"),
    "held": ("보류", "held"),
    "rejected": ("폐기", "rejected"),
}
CODES = {
    # why a crawl failed
    "source-gone": "목록 페이지가 없어짐",
    "bot-page": "사이트가 수집을 거부함",
    "page-drift": "페이지 구조가 바뀜",
    "not-allowed": "robots.txt, 방문 시간 또는 설정이 허용하지 않음",
    "fetch-failed": "페이지를 받지 못함",
    "listing-broken": "목록을 끝까지 확인하지 못함",
    "month-turned": "수집 중에 달이 바뀜",
    "abandoned": "중단된 수집을 버리고 새로 시작함",
    "refused": "더 새로운 목록이 이미 발행됨",
    "storage": "데이터베이스 문제",
    "disk": "저장 공간 부족",
    "browser": "브라우저를 시작하지 못함",
    "archive": "보관한 페이지가 손상됨",
    "held": "새 목록이 보류됨",
    # why a snapshot is held, or what was noted
    "listing-missing": "읽지 않은 목록이 있음",
    "total": "사이트가 밝힌 개수와 다름",
    "end": "목록의 끝 표시가 없음",
    "schema": "형식에 맞지 않는 행",
    "count": "전체 개수가 크게 달라짐",
    "count-kind": "행사 종류별 개수가 크게 달라짐",
    "count-category": "분류별 개수가 크게 달라짐",
    "sections": "분류별 목록이 전체 목록과 맞지 않음",
    "listing-empty": "빈 목록",
    "first": "비교할 이전 목록이 없음",
    "first-count": "첫 목록치고 너무 적음",
    "baseline-old": "이전 목록이 너무 오래됨",
    "month-not-turned": "지난달 목록이 그대로 보임",
    "unreadable": "읽지 못한 상품 카드",
    "image-coverage": "그림 주소가 없는 행이 많음",
    "check-digit": "바코드 검사 숫자 오류가 많음",
    "barcode-share": "바코드 있는 행의 비율이 떨어짐",
    "badge-unknown": "모르는 행사 표시",
    "badge-disagrees": "행사 표시가 서로 다름",
    "kind-missing": "목록에 해당 행사 종류가 없음",
    "kind-mix": "행사 종류의 비율이 달라짐",
    "price-range": "가격 범위를 벗어난 행",
    "price-median": "가격 중앙값이 크게 달라짐",
    "window": "행사 기간이 이 달을 벗어남",
    "id-repeated": "한 번호를 여러 상품이 씀",
    # what was odd on a page
    "badge-missing": "행사 표시가 없음",
    "price-unreadable": "가격을 읽을 수 없음",
    "name-missing": "이름이 없음",
    "name-unclean": "이름에서 제어 문자를 뺌",
    "text-unclean": "저장할 수 없는 문자를 바꿈",
    "barcode-check-digit": "바코드 검사 숫자가 틀림",
    "image-address-refused": "그림 주소를 받아들이지 않음",
    "row-repeated": "앞 페이지에 있던 행이 다시 나옴",
    "card-unreadable": "카드를 읽을 수 없음",
    "total-missing": "개수 표시가 없음",
}
