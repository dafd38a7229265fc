"""The words of the generated shop: categories with usual prices, makers, and names of people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    name: str
    price: float  # the usual price, in euro
    things: tuple[str, ...]
    runs_out: bool = False


CATEGORIES = (
    Category("Running", 85, ("road shoes", "trail shoes", "running vest", "running cap")),
    Category("Camping", 120, ("two-person tent", "sleeping bag", "stove", "head torch")),
    Category("Cycling", 65, ("helmet", "saddle bag", "gloves", "front light", "bib shorts")),
    Category("Climbing", 95, ("harness", "chalk bag", "rope", "climbing shoes")),
    Category("Coffee", 14, ("espresso beans", "filter beans", "decaf beans"), True),
    Category("Tea", 11, ("green tea", "black tea", "rooibos"), True),
    Category("Kitchen", 48, ("chef's knife", "cast-iron pan", "mixing bowl", "scale")),
    Category("Garden", 32, ("secateurs", "watering can", "hand trowel", "seed tray")),
    Category("Pets", 27, ("dry dog food", "cat food", "cat litter"), True),
    Category("Reading", 18, ("notebook", "reading lamp", "bookend", "fountain pen")),
    Category("Audio", 140, ("headphones", "turntable", "speaker", "microphone")),
    Category("Photo", 210, ("prime lens", "tripod", "camera bag", "film roll")),
    Category("Children", 24, ("building blocks", "puzzle", "kite", "wooden train")),
    Category("Bath", 16, ("soap", "towel", "bath salt", "shaving brush"), True),
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
