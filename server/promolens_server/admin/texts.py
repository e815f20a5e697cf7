"""Every word of the pages, in Korean and in English."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("ko", "en")
LANGUAGE_NAMES = {"ko": "한국어", "en": "English"}

_PAIRS: dict[str, tuple[str, str]] = {
    # frame
    "title": ("promolens 관리", "promolens admin"),
    "skip": ("본문으로 건너뛰기", "Skip to content"),
    "menu": ("메뉴", "Menu"),
    "overview": ("한눈에 보기", "Overview"),
    "snapshots": ("목록", "Snapshots"),
    "review": ("상품 연결 검토", "Link review"),
    "bundles": ("번들", "Bundles"),
    "galleries": ("갤러리", "Galleries"),
    "log_out": ("나가기", "Log out"),
    "you_are": ("접속: {who}", "You are {who}"),
    "language": ("언어", "Language"),
    "korea_time": ("시각은 모두 한국 시간입니다.", "All times are Korean time."),
    "back": ("돌아가기", "Back"),
    # logging in
    "log_in": ("들어가기", "Log in"),
    "token": ("관리자 토큰", "Admin token"),
    "token_help": (
        "서버의 PROMOLENS_ADMIN_TOKEN 값입니다. 30분 동안 쓰지 않으면 다시 들어와야 합니다.",
        "The value of PROMOLENS_ADMIN_TOKEN on the server. After 30 idle minutes you log in again.",
    ),
    "wrong_token": ("토큰이 맞지 않습니다.", "This is not the token."),
    "wait": (
        "틀린 시도가 많았습니다. {seconds}초 뒤에 다시 해 주세요.",
        "There were too many wrong tries. Try again in {seconds} s.",
    ),
    "not_secret": (
        "이 연결은 암호화되지 않아서 토큰이 그대로 전송됩니다. https로 여는 것이 안전합니다.",
        "This connection is not encrypted: the token is sent in the clear. Use https.",
    ),
    "logged_out": ("나갔습니다.", "You are logged out."),
    # overview
    "waiting": ("기다리는 일", "Waiting for you"),
    "nothing_waits": ("기다리는 일이 없습니다.", "Nothing waits for you."),
    "held_count": ("보류된 목록 {n}개", "Held snapshots: {n}"),
    "review_count": ("검토할 상품 연결 {n}건", "Links to review: {n}"),
    "trouble_count": ("문제가 있는 출처 {n}곳", "Sources in trouble: {n}"),
    "rollout_count_bundles": ("배포 중인 번들 {n}개", "Bundles being rolled out: {n}"),
    "rollout_count_galleries": ("배포 중인 갤러리 {n}개", "Galleries being rolled out: {n}"),
    "sources": ("출처", "Sources"),
    "chain": ("편의점", "Chain"),
    "state": ("상태", "State"),
    "since": ("언제부터", "Since"),
    "month": ("행사 달", "Month"),
    "rows": ("행사 수", "Rows"),
    "version": ("버전", "Version"),
    "crawled": ("수집 시각", "Crawled"),
    "decided": ("결정 시각", "Decided"),
    "catalog_version": ("카탈로그 버전 {n}", "Catalog version {n}"),
    "s_never": ("아직 없음", "never crawled"),
    "s_ok": ("정상", "ok"),
    "s_stale": ("오래됨", "stale"),
    "s_gone": ("목록 사라짐", "gone"),
    "s_published": ("발행 중", "published"),
    "s_held": ("보류", "held"),
    "s_superseded": ("지난 발행", "superseded"),
    "s_rejected": ("폐기", "rejected"),
    # snapshots
    "held_snapshots": ("보류된 목록", "Held snapshots"),
    "none_held": ("보류된 목록이 없습니다.", "No snapshot is held."),
    "snapshot": ("목록 {n}", "Snapshot {n}"),
    "look": ("살펴보기", "Look at it"),
    "reasons": ("보류한 까닭", "Why it is held"),
    "notes": ("기록", "Notes"),
    "differences": ("발행 중인 목록과 다른 점", "What differs from the published one"),
    "differences_to": ("되돌리면 바뀌는 점", "What a roll back would change"),
    "first_one": (
        "이 편의점의 첫 목록입니다. 비교할 목록이 없습니다.",
        "It is the first snapshot of this chain: there is nothing to compare with.",
    ),
    "added": ("시작하는 행사", "Beginning"),
    "ended": ("끝나는 행사", "Ending"),
    "changed": ("바뀌는 행사", "Changed"),
    "no_difference": ("다른 점이 없습니다.", "There is no difference."),
    "shown_of": ("{all}개 가운데 {n}개를 보여 줍니다.", "{n} of {all} are shown."),
    "show_all": ("모두 보기", "Show all"),
    "name": ("상품명", "Name"),
    "price": ("가격", "Price"),
    "kind": ("행사", "Promotion"),
    "period": ("기간", "Period"),
    "barcode": ("바코드", "Barcode"),
    "picture": ("사진", "Picture"),
    "picture_of": ("{name} 사진 (다른 사이트)", "picture of {name} (another site)"),
    "before": ("전", "Before"),
    "after": ("후", "After"),
    "approve": ("승인하고 발행", "Approve and publish"),
    "approve_help": (
        "이 목록이 {chain}의 행사 목록이 됩니다. 나중에 되돌릴 수 있습니다.",
        "It becomes the list of {chain}. You can roll it back later.",
    ),
    "reject": ("폐기", "Reject"),
    "reject_help": (
        "이 목록의 행은 지워집니다. 발행 중인 목록은 그대로입니다.",
        "Its rows are thrown away. What is published stays.",
    ),
    "reason": ("까닭 (선택)", "Reason (optional)"),
    "history": ("지난 목록", "History"),
    "no_snapshots": ("아직 목록이 없습니다.", "There is no snapshot yet."),
    "roll_back": ("되돌리기", "Roll back"),
    "roll_back_to": ("목록 {n}(으)로 되돌리기", "Roll back to snapshot {n}"),
    "roll_back_help": (
        "목록 {n}의 행이 새 버전으로 다시 발행됩니다. 발행 중인 목록 {live}은(는) 폐기됩니다.",
        "The rows of snapshot {n} are published again under a new version. The published snapshot "
        "{live} is marked as rejected.",
    ),
    # review
    "review_intro": (
        "바코드가 없는 행이 어느 상품인지 정합니다. 같은 상품이면 연결하고, 아니면 거절합니다. "
        "한 번 정하면 다음 달에도 그대로입니다.",
        "Say which product a row without a barcode is. Accept the proposal if it is the same "
        "product, reject it if not. A decision holds for all months to come.",
    ),
    "review_empty": ("검토할 것이 없습니다.", "Nothing is to be reviewed."),
    "all_chains": ("모든 편의점", "All chains"),
    "only_chain": ("편의점 고르기", "Only one chain"),
    "show": ("보기", "Show"),
    "this_row": ("이 행", "This row"),
    "proposed": ("후보 상품", "Proposed product"),
    "also_called": ("다른 이름", "Also called"),
    "likeness": ("비슷한 정도", "Likeness"),
    "found_by": ("찾은 방법", "Found by"),
    "now_sold": ("지금 파는 곳", "Sold now"),
    "not_live": ("지금은 행사 없음", "no promotion now"),
    "same": ("같은 상품", "Same product"),
    "different": ("다른 상품", "Not the same"),
    "same_label": ("{row} = {item}: 같은 상품", "{row} is {item}: same product"),
    "different_label": ("{row} ≠ {item}: 다른 상품", "{row} is not {item}: not the same"),
    # bundles
    "no_store": (
        "번들 저장소가 없습니다. PROMOLENS_BUNDLE_STORE를 설정하세요.",
        "There is no bundle store. Set PROMOLENS_BUNDLE_STORE.",
    ),
    "channel": ("채널", "Channel"),
    "c_stable": ("안정판 (stable)", "stable"),
    "c_beta": ("시험판 (beta)", "beta"),
    "offered_now": ("지금 배포", "Offered now"),
    "nothing_offered_bundles": ("배포하는 번들이 없습니다.", "Nothing is offered."),
    "nothing_offered_galleries": ("배포하는 갤러리가 없습니다.", "Nothing is offered."),
    "current": ("모든 휴대전화", "All phones"),
    "others": ("나머지 휴대전화", "The other phones"),
    "candidate": ("먼저 받는 휴대전화 {percent}%", "The first {percent} % of the phones"),
    "share": ("먼저 받는 비율 (0~100%)", "Share of the phones (0 to 100 %)"),
    "set_share": ("비율 바꾸기", "Set the share"),
    "share_help": (
        "0은 멈춤, 100은 모두에게 배포하고 끝냄을 뜻합니다.",
        "0 pauses the roll-out, 100 ends it: every phone is offered the release.",
    ),
    "rollback_candidate_help": (
        "버전 {version}의 배포를 그만둡니다. 이미 받은 휴대전화는 그대로 씁니다.",
        "Version {version} is no longer offered. Phones that have it keep it.",
    ),
    "rollback_current_help_galleries": (
        "다시 버전 {version}을(를) 배포합니다. 더 높은 버전을 받은 휴대전화는 그대로 씁니다. "
        "그 휴대전화까지 되돌리려면 이전 사진으로 다시 만들어 더 높은 버전으로 발행하세요.",
        "Version {version} is offered again. Phones that have a higher version keep it: to reach "
        "them too, build the gallery from the earlier pictures again and publish that.",
    ),
    "rollback_current_help_bundles": (
        "다시 버전 {version}을(를) 배포합니다. 더 높은 버전을 받은 휴대전화는 그대로 씁니다. "
        "그 휴대전화까지 되돌리려면 더 높은 버전 번호로 다시 내보내 발행하세요.",
        "Version {version} is offered again. Phones that have a higher version keep it: to reach "
        "them too, export the older run under a higher version and publish that.",
    ),
    "nothing_before_bundles": ("되돌아갈 번들이 없습니다.", "There is nothing to go back to."),
    "nothing_before_galleries": ("되돌아갈 갤러리가 없습니다.", "There is nothing to go back to."),
    "deeds": ("한 일", "What was done"),
    "when": ("언제", "When"),
    "who": ("누가", "Who"),
    "what": ("무엇을", "What"),
    "a_publish": ("발행", "published"),
    "a_rollout": ("비율 변경", "share set"),
    "a_rollback": ("되돌림", "rolled back"),
    "releases_bundles": ("저장된 번들", "Releases in the store"),
    "releases_galleries": ("저장된 갤러리", "Releases in the store"),
    "no_releases_galleries": (
        "아직 없습니다. promolens gallery publish로 올립니다.",
        "There is none yet. Add one with: promolens gallery publish",
    ),
    "no_releases_bundles": (
        "아직 없습니다. promolens bundle publish로 올립니다.",
        "There is none yet. Add one with: promolens bundle publish",
    ),
    "noun_bundles": ("번들", "Bundle"),
    "noun_galleries": ("갤러리", "Gallery"),
    "size": ("크기", "Size"),
    "needs_bundles": ("필요한 앱", "App needed"),
    "needs_galleries": ("필요한 모델", "Model needed"),
    "manifest": ("매니페스트", "Manifest"),
    "signed_by": ("서명 키", "Signed by"),
    # what was done
    "did_approve": (
        "목록 {n}을(를) 버전 {version}(으)로 발행했습니다. 시작 {added}, 끝 {ended}, 유지 {kept}.",
        "Snapshot {n} is published as version {version}: {added} rows began, {ended} ended, "
        "{kept} stay.",
    ),
    "did_reject": ("목록 {n}을(를) 폐기했습니다.", "Snapshot {n} is rejected."),
    "did_rollback": (
        "되돌렸습니다. 목록 {n}이(가) 버전 {version}입니다. 시작 {added}, 끝 {ended}.",
        "Rolled back: snapshot {n} is version {version}; {added} rows began, {ended} ended.",
    ),
    "did_accept_link": (
        "같은 상품으로 연결했습니다. 옮긴 행: {moved}.",
        "Accepted: it is the same product. Rows moved: {moved}.",
    ),
    "did_reject_link": ("다른 상품으로 정했습니다.", "Rejected: it is not the same product."),
    "did_share": ("{channel}: 비율을 {percent}%로 바꿨습니다.", "{channel}: {percent} % now."),
    "did_release_rollback": ("{channel}: 되돌렸습니다.", "{channel}: rolled back."),
    # what went wrong
    "e_taken": ("다른 사람이 먼저 정했습니다", "Somebody was faster"),
    "e_taken_text": (
        "이 화면을 연 뒤에 상태가 바뀌어서 아무것도 하지 않았습니다. "
        "지금 상태를 보고 다시 정해 주세요.",
        "It has changed since you opened the page, so nothing was done. Look again, then decide.",
    ),
    "e_refused": ("할 수 없습니다", "This cannot be done"),
    "e_refused_text": ("아무것도 바뀌지 않았습니다.", "Nothing has changed."),
    "e_form": ("이 양식은 받을 수 없습니다", "This form cannot be taken"),
    "e_form_text": (
        "화면이 너무 오래되었거나 다른 곳에서 보낸 양식입니다. 돌아가서 다시 해 주세요.",
        "The page was too old, or the form came from somewhere else. Go back and try again.",
    ),
    "e_missing": ("없는 화면입니다", "There is no such page"),
    "e_missing_text": (
        "주소가 틀렸거나, 찾는 것이 이제 없습니다.",
        "The address is wrong, or what it named is gone.",
    ),
    "e_busy": ("지금은 할 수 없습니다", "Not now"),
    "e_busy_text": (
        "데이터베이스나 저장소가 대답하지 않습니다. 조금 뒤에 다시 해 주세요.",
        "The database or the store does not answer. Try again in a while.",
    ),
    "detail": ("자세히", "Details"),
}

# Why a snapshot is held or a source is in trouble, by the code before the colon
# (docs/publishing.md).
_REASONS: dict[str, tuple[str, str]] = {
    "held": ("새 목록이 보류됨", "a new list is held"),
    "source-gone": ("목록 페이지가 없어짐", "the list is no longer where it was"),
    "bot-page": ("사이트가 수집을 거부함", "the site asks us to stop"),
    "page-drift": ("페이지 구조가 바뀜", "the page is not the known one"),
    "not-allowed": ("수집이 허용되지 않음", "crawling is not allowed"),
    "fetch-failed": ("페이지를 받지 못함", "a page could not be fetched"),
    "listing-broken": ("목록을 끝까지 확인하지 못함", "a listing could not be read to its end"),
    "month-turned": ("수집 중에 달이 바뀜", "the month turned while it was read"),
    "refused": ("더 새로운 목록이 이미 발행됨", "something newer is published already"),
    "storage": ("데이터베이스 문제", "trouble with the database"),
    "disk": ("저장 공간 부족", "the disk is full"),
    "listing-missing": ("읽지 않은 목록이 있음", "a listing was not read"),
    "total": ("사이트가 밝힌 개수와 다름", "not the number that the site declares"),
    "end": ("목록의 끝 표시가 없음", "the listing's end was not seen"),
    "schema": ("형식에 맞지 않는 행", "rows that are not in the form of a row"),
    "count": ("전체 개수가 크게 달라짐", "the number of rows is far off"),
    "count-kind": ("행사 종류별 개수가 크게 달라짐", "the number of rows of a kind is far off"),
    "count-category": ("분류별 개수가 크게 달라짐", "the number of rows of a section is far off"),
    "first-count": ("첫 목록치고 너무 적음", "too few rows for a first list"),
    "unreadable": ("읽지 못한 상품 카드", "cards that could not be read"),
    "image-coverage": ("사진 주소가 없는 행이 많음", "many rows without a picture"),
    "check-digit": ("바코드 검사 숫자 오류가 많음", "many wrong check digits"),
    "barcode-share": ("바코드 있는 행의 비율이 떨어짐", "fewer rows have a barcode"),
    "badge-unknown": ("모르는 행사 표시", "an unknown badge"),
    "badge-disagrees": ("행사 표시가 서로 다름", "badges that disagree"),
    "kind-missing": ("목록에 해당 행사 종류가 없음", "a list without its kind"),
    "kind-mix": ("행사 종류의 비율이 달라짐", "another mix of kinds"),
    "price-range": ("가격 범위를 벗어난 행", "prices out of range"),
    "price-median": ("가격 중앙값이 크게 달라짐", "the median price is far off"),
    "window": ("행사 기간이 이 달을 벗어남", "dates outside the month"),
    "sections": (
        "분류별 목록이 전체 목록과 맞지 않음",
        "the sections' lists do not add up to the whole list",
    ),
    "listing-empty": ("빈 목록이 있음", "a listing without rows"),
    "first": ("비교할 이전 목록이 없음", "no earlier list to compare with"),
    "baseline-old": (
        "이전 목록이 오래되어 비교하지 않음",
        "the last list is too old to compare with",
    ),
    "month-not-turned": ("아직 지난달 목록으로 보임", "still last month's list, it seems"),
    "browser": ("브라우저가 없거나 시작되지 않음", "the browser is missing, or does not start"),
    "crawl-error": ("끝까지 수집하지 못함", "the source could not be read whole"),
    "archive": ("수집 기록을 저장하거나 읽지 못함", "the archive cannot be written or read"),
    "lock-lost": ("수집 잠금을 잃음", "the lock of the crawl was lost"),
    "busy": ("다른 수집이 진행 중", "another crawl is running"),
    "internal-error": ("프로그램 오류", "a defect of the program"),
    "id-repeated": ("한 번호를 여러 상품이 씀", "one number for several products"),
}

TEXTS: Mapping[str, Mapping[str, str]] = {
    language: {key: pair[place] for key, pair in _PAIRS.items()}
    for place, language in enumerate(LANGUAGES)
}
REASONS: Mapping[str, Mapping[str, str]] = {
    language: {code: pair[place] for code, pair in _REASONS.items()}
    for place, language in enumerate(LANGUAGES)
}


def choose_language(asked: str | None, kept: str | None, accepted: str | None) -> str:
    """Return `ko` or `en`: what was asked for, else what was kept, else what the browser prefers.

    Args:
        accepted: the Accept-Language header.
    """
    for one in (asked, kept):
        if one in LANGUAGES:
            return one
    weights = dict.fromkeys(LANGUAGES, 0.0)
    for part in (accepted or "")[:500].lower().split(","):
        name, _, parameter = part.strip().partition(";")
        language = name.partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(parameter))
    return "ko" if weights["ko"] > weights["en"] else "en"


def _weight(parameter: str) -> float:
    value = parameter.strip().removeprefix("q=")
    try:
        return float(value) if value else 1.0
    except ValueError:
        return 0.0
