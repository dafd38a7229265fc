"""The words of the generated shop: categories with usual prices, makers, and names of people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    name: str
    code: str
    price: float  # the usual price, in euro
    things: tuple[str, ...]
    runs_out: bool = False


CATEGORIES = (
    Category("Running", "run", 85, ("road shoes", "trail shoes", "running vest", "running cap")),
    Category("Camping", "cmp", 120, ("two-person tent", "sleeping bag", "stove", "head torch")),
    Category("Cycling", "cyc", 65, ("helmet", "saddle bag", "gloves", "front light", "bib shorts")),
    Category("Climbing", "clm", 95, ("harness", "chalk bag", "rope", "climbing shoes")),
    Category("Coffee", "cof", 14, ("espresso beans", "filter beans", "decaf beans"), True),
    Category("Tea", "tea", 11, ("green tea", "black tea", "rooibos"), True),
    Category("Kitchen", "kit", 48, ("chef's knife", "cast-iron pan", "mixing bowl", "scale")),
    Category("Garden", "gdn", 32, ("secateurs", "watering can", "hand trowel", "seed tray")),
    Category("Pets", "pet", 27, ("dry dog food", "cat food", "cat litter"), True),
    Category("Reading", "rdg", 18, ("notebook", "reading lamp", "bookend", "fountain pen")),
    Category("Audio", "aud", 140, ("headphones", "turntable", "speaker", "microphone")),
    Category("Photo", "pho", 210, ("prime lens", "tripod", "camera bag", "film roll")),
    Category("Children", "chi", 24, ("building blocks", "puzzle", "kite", "wooden train")),
    Category("Bath", "bth", 16, ("soap", "towel", "bath salt", "shaving brush"), True),
)

MAKERS = (
    "Alder", "Birch & Co", "Corbel", "Dunlin", "Eddy", "Fennel", "Gannet", "Hazel", "Ivor",
    "Juniper", "Kestrel", "Larch", "Merle", "Nettle", "Osier", "Pipit", "Quill", "Rowan",
    "Sorrel", "Teal", "Umber", "Vetch", "Wren", "Yarrow",
)  # fmt: skip

FIRST_NAMES = (
    "Ana", "Ben", "Clara", "David", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaja",
    "Leo", "Mina", "Noah",
    "Olga", "Pablo", "Ruth", "Sami", "Tilda", "Uma", "Viktor", "Wanda", "Xenia", "Yusuf", "Zoe",
)  # fmt: skip

LAST_NAMES = (
    "Almeida", "Brandt", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Hansen", "Ito",
    "Jansen", "Kowalski", "Lopez",
    "Moreau", "Novak", "Okafor", "Petit", "Quinn", "Rossi",
    "Silva", "Tanaka", "Urban", "Visser", "Weber", "Yilmaz",
)  # fmt: skip
