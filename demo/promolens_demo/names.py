"""Word lists of the invented catalogue: flavours, kinds of product, brand syllables, colours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flavour:
    """What a product tastes of: its names, its drawing (a key of `MOTIFS` too) and its colour."""

    slug: str
    name_ko: str
    name_en: str
    accent: str


@dataclass(frozen=True)
class Kind:
    """A kind of product: its package and what a flavour of it may be.

    Attributes:
        slug: ascii name, a key of `KINDS`.
        package: a key of `packages.PACKAGES`.
        sizes: the small and the large size, in `unit`.
        prices_krw: their usual prices, in won.
        flavours: keys of `FLAVOURS`.
    """

    slug: str
    name_ko: str
    name_en: str
    category: str
    package: str
    sizes: tuple[int, int]
    unit: str
    prices_krw: tuple[int, int]
    flavours: tuple[str, ...]


_FLAVOUR_ROWS = (
    ("lemon", "레몬", "Lemon", "#e3b90f"),
    ("citron", "유자", "Citron", "#e0a11b"),
    ("plum", "자두", "Plum", "#8f2a63"),
    ("green-plum", "매실", "Green plum", "#7c9a2b"),
    ("grape", "포도", "Grape", "#6a3aa0"),
    ("green-grape", "청포도", "Green grape", "#6fa63a"),
    ("peach", "복숭아", "Peach", "#ee8f7c"),
    ("pear", "배", "Pear", "#b9963c"),
    ("apple", "사과", "Apple", "#c23a30"),
    ("orange", "오렌지", "Orange", "#e87817"),
    ("strawberry", "딸기", "Strawberry", "#d8344b"),
    ("banana", "바나나", "Banana", "#e6c02c"),
    ("blueberry", "블루베리", "Blueberry", "#43549f"),
    ("melon", "멜론", "Melon", "#7aa84a"),
    ("chili", "매운고추", "Hot chili", "#cf2a1e"),
    ("green-onion", "대파", "Green onion", "#5b9a3c"),
    ("shrimp", "새우", "Shrimp", "#e8794a"),
    ("cabbage", "김치", "Kimchi", "#c9472f"),
    ("cheese", "치즈", "Cheese", "#eba92a"),
    ("potato", "소금감자", "Salted potato", "#b98a49"),
    ("corn", "옥수수", "Corn", "#e2b422"),
    ("seaweed", "김", "Seaweed", "#2f5a3d"),
    ("sweet-potato", "고구마", "Sweet potato", "#8c3a56"),
    ("chocolate", "초코", "Chocolate", "#6a3c20"),
    ("tea-leaf", "녹차", "Green tea", "#5a8f3c"),
    ("coffee", "커피", "Coffee", "#5b3a22"),
    ("honey", "꿀", "Honey", "#e09a1c"),
    ("garlic", "마늘", "Garlic", "#b7a57c"),
    ("walnut", "호두", "Walnut", "#a8743f"),
    ("red-bean", "팥", "Red bean", "#7c2a2c"),
    ("mint", "박하", "Mint", "#35a37c"),
    ("mushroom", "버섯", "Mushroom", "#8f5c3c"),
    ("beef", "소고기", "Beef", "#a5332d"),
)
FLAVOURS = {row[0]: Flavour(*row) for row in _FLAVOUR_ROWS}

_FRUIT = (
    "lemon",
    "plum",
    "green-grape",
    "peach",
    "grape",
    "apple",
    "orange",
    "melon",
    "citron",
    "green-plum",
    "pear",
    "mint",
)
_SAVOURY = (
    "potato",
    "chili",
    "cheese",
    "corn",
    "seaweed",
    "sweet-potato",
    "garlic",
    "shrimp",
    "green-onion",
    "honey",
)
_SWEET = (
    "chocolate",
    "strawberry",
    "tea-leaf",
    "walnut",
    "red-bean",
    "coffee",
    "banana",
    "mint",
    "honey",
    "sweet-potato",
)
_BROTH = (
    "chili",
    "shrimp",
    "cabbage",
    "mushroom",
    "beef",
    "green-onion",
    "seaweed",
    "garlic",
    "corn",
)
_MILKY = (
    "strawberry",
    "banana",
    "blueberry",
    "chocolate",
    "coffee",
    "melon",
    "peach",
    "tea-leaf",
    "honey",
    "sweet-potato",
    "red-bean",
)

KINDS = {
    kind.slug: kind
    for kind in (
        Kind("soda", "소다", "Soda", "음료", "can", (250, 500), "ml", (1400, 2300), _FRUIT),
        Kind("tea", "차", "Tea", "음료", "bottle", (350, 900), "ml", (1700, 2900), _FRUIT),
        Kind("chips", "칩", "Chips", "과자", "bag", (60, 150), "g", (1700, 3400), _SAVOURY),
        Kind("biscuit", "비스킷", "Biscuits", "과자", "box", (84, 210), "g", (1800, 3900), _SWEET),
        Kind("noodles", "컵면", "Cup noodles", "면", "cup", (65, 110), "g", (1200, 1800), _BROTH),
        Kind("milk", "우유", "Milk", "유제품", "jug", (240, 750), "ml", (1600, 3300), _MILKY),
    )
}

# Invented compounds; head + tail is a brand, and no two pairs spell the same one.
BRAND_HEADS = (
    ("달무리", "Dalmuri"),
    ("솔바람", "Solbaram"),
    ("물안개", "Mulangae"),
    ("꽃구름", "Kkotgureum"),
    ("눈꽃송", "Nunkkotsong"),
    ("은하수", "Eunhasu"),
    ("산울림", "Sanullim"),
    ("오솔길", "Osolgil"),
    ("무지개", "Mujigae"),
    ("봄나비", "Bomnabi"),
    ("노을빛", "Noeulbit"),
    ("해오름", "Haeoreum"),
    ("별똥이", "Byeolttongi"),
    ("개울가", "Gaeulga"),
    ("참나무", "Chamnamu"),
    ("토끼풀", "Tokkipul"),
    ("반딧불", "Banditbul"),
    ("조약돌", "Joyakdol"),
    ("풀내음", "Pullaeeum"),
    ("하늬길", "Hanuigil"),
    ("도토리", "Dotori"),
    ("물레방", "Mullebang"),
    ("종달새", "Jongdalsae"),
    ("고래등", "Goraedeung"),
)
BRAND_TAILS = (
    ("고개", "Gogae"),
    ("마당", "Madang"),
    ("언덕", "Eondeok"),
    ("나루", "Naru"),
    ("다락", "Darak"),
    ("골목", "Golmok"),
    ("우물", "Umul"),
    ("들판", "Deulpan"),
    ("샘터", "Saemteo"),
    ("둥지", "Dungji"),
    ("창가", "Changga"),
    ("모퉁", "Motung"),
    ("바위", "Bawi"),
    ("여울", "Yeoul"),
    ("섬돌", "Seomdol"),
    ("툇마루", "Toenmaru"),
    ("장독", "Jangdok"),
    ("굴뚝", "Gulttuk"),
    ("수풀", "Supul"),
    ("뜨락", "Tteurak"),
    ("지붕", "Jibung"),
    ("사립", "Sarip"),
    ("돌담", "Doldam"),
    ("기슭", "Giseuk"),
)
PALETTES = (
    ("#1f4e8c", "#ffffff"),
    ("#7a2f6b", "#fff3d6"),
    ("#2e7048", "#fffbe8"),
    ("#d9792b", "#fff9e6"),
    ("#ece7dc", "#2d3550"),
    ("#40424a", "#f4e9c9"),
    ("#c23a57", "#fff5ee"),
)
