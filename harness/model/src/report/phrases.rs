//! What generated reports are about: places, invented products, tags.
//!
//! Changing a line changes what every seed generates, and a test that pins the output says so.

/// City centres in millionths of a degree: latitude, longitude.
pub(super) const CITIES: &[(i32, i32)] = &[
    (42_441_287, 19_262_892),   // Podgorica
    (42_424_660, 18_771_234),   // Kotor
    (44_817_813, 20_456_897),   // Belgrade
    (47_376_888, 8_541_694),    // Zurich
    (52_520_008, 13_404_954),   // Berlin
    (48_856_613, 2_352_222),    // Paris
    (41_902_782, 12_496_366),   // Rome
    (40_416_775, -3_703_790),   // Madrid
    (41_008_240, 28_978_359),   // Istanbul
    (50_450_100, 30_523_399),   // Kyiv
    (37_983_810, 23_727_539),   // Athens
    (30_044_420, 31_235_712),   // Cairo
    (31_230_391, 121_473_702),  // Shanghai
    (35_689_487, 139_691_711),  // Tokyo
    (-33_868_820, 151_209_290), // Sydney
    (-34_603_684, -58_381_559), // Buenos Aires
    (37_774_929, -122_419_416), // San Francisco
    (64_146_582, -21_942_636),  // Reykjavik
];

/// Products: name, site.
pub(super) const APPS: &[(&str, &str)] = &[
    ("ParkPalo", "https://parkpalo.example/app"),
    ("Lumen Bank", "https://online.lumenbank.example/login"),
    ("Vozi.me", "https://vozi.example/karte"),
    ("FreshCrate", "https://freshcrate.example/basket?step=2"),
    ("Kantina", "https://kantina.example/menu#today"),
    ("StadtRad+", "https://stadtrad.example/%C3%BCbersicht"),
    ("MediQuick", "https://mediquick.example/appointments"),
    ("Ōkami Maps", "https://maps.okami.example/?q=35.68,139.69"),
    ("O'Malley's", "https://omalleys.example/book"),
    ("Чисто&Просто", "https://чисто-просто.example/заказ"),
];

/// Tags for places.
pub(super) const PHYSICAL_TAGS: &[&str] = &[
    "litter",
    "broken bench",
    "pothole",
    "graffiti",
    "street-light",
    "otpad",
    "rupa",
    "смеће",
    "мусор",
    "müll",
    "déchets",
    "basura",
    "rifiuti",
    "çöp",
    "σκουπίδια",
    "نفايات",
    "垃圾",
    "ゴミ",
    "dumping_site",
    "no.1",
];

/// Tags for products.
pub(super) const DIGITAL_TAGS: &[&str] = &[
    "bug",
    "app crash",
    "login",
    "payment",
    "ui",
    "greška",
    "грешка",
    "ошибка",
    "fehler",
    "bogue",
    "error",
    "errore",
    "hata",
    "σφάλμα",
    "خطأ",
    "错误",
    "不具合",
    "v2.10",
    "dark_mode",
    "no-response",
];

/// Tags that have no canonical form.
pub(super) const INVALID_TAGS: &[&str] = &[
    "",
    "#",
    "   ",
    "##",
    "really?!",
    "a/b",
    "<b>urgent</b>",
    "🗑️",
    "fix it, please",
    "this tag is far too long to be one because somebody put a whole sentence into it",
];

/// What some citizens put behind their text.
pub(super) const ENDINGS: &[&str] = &[
    " 😡",
    " 🙏🏽",
    " 👩‍🔧",
    " 🇲🇪",
    " ❤️‍🔥",
    "!!!",
    " …",
    "\n\n-- \nsent from my phone",
    "\n\t1) photo\n\t2) video",
    " \"quoted\"",
    " C:\\temp\\log.txt",
    " (50% < 100%) & counting",
];
