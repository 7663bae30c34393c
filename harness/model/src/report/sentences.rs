//! The sentences that generated reports are composed of, by language.
//!
//! `{at}` stands for an address, `{app}` for a product, `{n}` for a number. Changing a line changes what every seed
//! generates, and a test that pins the output says so.

/// One language's sentences.
#[derive(Clone, Copy)]
pub(super) struct Language {
    /// Streets, to be followed by a house number.
    pub(super) streets: &'static [&'static str],
    /// About places.
    pub(super) physical: Sentences,
    /// About products.
    pub(super) digital: Sentences,
}

/// The sentences of one report, of which at least the first kind appears.
#[derive(Clone, Copy)]
pub(super) struct Sentences {
    /// What is wrong.
    pub(super) problems: &'static [&'static str],
    /// What else there is to say.
    pub(super) details: &'static [&'static str],
    /// What the citizen wants.
    pub(super) wishes: &'static [&'static str],
}

/// The languages, each with its sentences.
pub(super) const LANGUAGES: &[Language] = &[
    Language {
        streets: &[
            "Harbour Street",
            "Mill Lane",
            "Station Road",
            "Queen's Square",
            "Elm Avenue",
        ],
        physical: Sentences {
            problems: &[
                "Rubbish has been dumped in front of {at}.",
                "The bench outside {at} has lost {n} slats and the screws stick out.",
                "Deep pothole by {at}, about {n} cm across.",
                "Street light {n} near {at} has been out for a week.",
                "Fresh graffiti on the wall of {at}, {n} metres of it.",
            ],
            details: &[
                "It has been like this for {n} days.",
                "Children pass here on their way to school.",
                "I reported it before and nobody came.",
                "It smells, and there are rats after dark.",
            ],
            wishes: &[
                "Please send somebody.",
                "Could this be fixed before winter?",
                "Who is responsible for this?",
            ],
        },
        digital: Sentences {
            problems: &[
                "{app} crashes every time I open order {n}.",
                "{app} charged me twice, {n}.00 each time.",
                "I cannot log in to {app}: error {n}.",
                "The total in {app} says NaN with {n} items in the basket.",
                "{app} shows a blank page after step {n}.",
            ],
            details: &[
                "Version 4.{n}, on a phone that is two years old.",
                "It worked until the last update.",
                "Support told me to reinstall, which did not help.",
                "The button is there but nothing happens.",
            ],
            wishes: &[
                "Please refund me.",
                "Fix the update.",
                "At least show a real error message.",
            ],
        },
    },
    Language {
        streets: &[
            "Njegoševa",
            "Ulica Slobode",
            "Bulevar Džordža Vašingtona",
            "Obala",
            "Trg Nezavisnosti",
        ],
        physical: Sentences {
            problems: &[
                "{at}: neko je istovario šut pored kontejnera.",
                "Kod broja {at} je rupa duboka {n} cm.",
                "Ulična svjetiljka br. {n} ({at}) ne radi.",
                "Pokvarena klupa, {at}, fali {n} daske.",
                "Divlja deponija iza zgrade {at}, {n} džakova.",
            ],
            details: &[
                "Ovako stoji već {n} dana.",
                "Đeca tuda idu u školu.",
                "Zvao sam komunalno i niko se ne javlja.",
                "Smrdi i ima pacova.",
            ],
            wishes: &[
                "Molim vas da se očisti.",
                "Ko je nadležan za ovo?",
                "Hvala unaprijed.",
            ],
        },
        digital: Sentences {
            problems: &[
                "{app} puca čim otvorim kartu {n}.",
                "{app} mi je dva puta naplatio {n} eura.",
                "Ne mogu da se prijavim na {app}, greška {n}.",
                "U aplikaciji {app} dugme ne radi poslije koraka {n}.",
                "{app} prikazuje praznu stranicu, pokušao sam {n} puta.",
            ],
            details: &[
                "Verzija 3.{n}.",
                "Prije ažuriranja je radilo.",
                "Podrška ne odgovara.",
                "Probao sam i na drugom telefonu.",
            ],
            wishes: &[
                "Vratite novac.",
                "Popravite ovo, molim vas.",
                "Javite kad bude riješeno.",
            ],
        },
    },
    Language {
        streets: &[
            "Кнеза Милоша",
            "Булевар Краља Александра",
            "Цара Душана",
            "Његошева",
            "Трг слободе",
        ],
        physical: Sentences {
            problems: &[
                "{at}: контејнери су претрпани.",
                "Рупа на путу, {at}, широка {n} cm.",
                "Не ради расвета код {at}, стуб {n}.",
                "Поломљена клупа, {at}, фали {n} летвица.",
                "Дивља депонија иза {at}.",
            ],
            details: &[
                "Тако је већ {n} дана.",
                "Деца туда пролазе.",
                "Звао сам и нико не долази.",
                "Смрди.",
            ],
            wishes: &["Молим да се очисти.", "Ко је надлежан?", "Хвала."],
        },
        digital: Sentences {
            problems: &[
                "{app} се гаси кад отворим поруџбину {n}.",
                "{app} ми је двапут наплатио {n} динара.",
                "Не могу да се пријавим на {app}, грешка {n}.",
                "{app} приказује празну страницу после корака {n}.",
            ],
            details: &[
                "Верзија 2.{n}.",
                "Пре ажурирања је радило.",
                "Подршка не одговара.",
                "Пробао сам {n} пута.",
            ],
            wishes: &["Вратите новац.", "Поправите ово.", "Јавите кад буде решено."],
        },
    },
    Language {
        streets: &[
            "Bahnhofstraße",
            "Lindenweg",
            "Am Müllerplatz",
            "Große Gasse",
            "Schützenallee",
        ],
        physical: Sentences {
            problems: &[
                "Sperrmüll vor {at}, ungefähr {n} Säcke.",
                "Schlagloch vor {at}, {n} cm tief.",
                "Die Straßenlaterne {n} bei {at} ist dunkel.",
                "Die Bank bei {at} ist kaputt, {n} Latten fehlen.",
                "Schmierereien an der Fassade von {at}, etwa {n} m².",
            ],
            details: &[
                "Das liegt seit {n} Tagen so da.",
                "Hier gehen Kinder zur Schule.",
                "Ich habe es schon gemeldet, passiert ist nichts.",
                "Nachts sieht man es überhaupt nicht.",
            ],
            wishes: &[
                "Bitte kümmern Sie sich darum.",
                "Wer ist zuständig?",
                "Vielen Dank im Voraus.",
            ],
        },
        digital: Sentences {
            problems: &[
                "{app} stürzt beim Öffnen von Auftrag {n} ab.",
                "{app} hat {n},00 € doppelt abgebucht.",
                "Anmeldung bei {app} geht nicht: Fehler {n}.",
                "In {app} bleibt nach Schritt {n} die Seite weiß.",
            ],
            details: &[
                "Version 5.{n}, vorher lief alles.",
                "Neu installiert, gleiches Ergebnis.",
                "Der Knopf reagiert nicht.",
                "Der Kundendienst antwortet seit {n} Tagen nicht.",
            ],
            wishes: &[
                "Bitte Geld zurück.",
                "Bitte beheben.",
                "Wenigstens eine Fehlermeldung wäre schön.",
            ],
        },
    },
    Language {
        streets: &[
            "rue de l'Église",
            "avenue Victor-Hugo",
            "place du Marché",
            "quai Sud",
            "boulevard Gambetta",
        ],
        physical: Sentences {
            problems: &[
                "Dépôt sauvage devant le {at} : {n} sacs.",
                "Nid-de-poule devant le {at}, {n} cm de profondeur.",
                "Le lampadaire nº {n} ({at}) est éteint.",
                "Banc cassé près du {at}, il manque {n} lattes.",
            ],
            details: &[
                "Ça fait {n} jours.",
                "Des enfants passent par là.",
                "Déjà signalé, rien n'a bougé.",
                "L'odeur est insupportable.",
            ],
            wishes: &["Merci d'intervenir.", "Qui s'en occupe ?", "C'est urgent."],
        },
        digital: Sentences {
            problems: &[
                "{app} plante à l'ouverture de la commande {n}.",
                "{app} m'a débité deux fois {n} €.",
                "Connexion impossible à {app} : erreur {n}.",
                "Page blanche dans {app} après l'étape {n}.",
            ],
            details: &[
                "Version 6.{n}.",
                "Ça marchait avant la mise à jour.",
                "Réinstallée {n} fois, pareil.",
                "Le bouton « payer » ne répond pas.",
            ],
            wishes: &[
                "Remboursez-moi.",
                "Corrigez ça s'il vous plaît.",
                "À quand un correctif ?",
            ],
        },
    },
    Language {
        streets: &[
            "via Garibaldi",
            "piazza della Libertà",
            "corso Umberto I",
            "vicolo dell'Olmo",
            "lungomare Nord",
        ],
        physical: Sentences {
            problems: &[
                "Rifiuti abbandonati in {at}, almeno {n} sacchi.",
                "Buca profonda {n} cm in {at}.",
                "Lampione {n} spento in {at}.",
                "Panchina rotta davanti a {at}, mancano {n} assi.",
            ],
            details: &[
                "È così da {n} giorni.",
                "Ci passano i bambini.",
                "Già segnalato, nessuna risposta.",
                "Di notte è pericoloso.",
            ],
            wishes: &["Per favore intervenite.", "Chi è competente?", "Grazie."],
        },
        digital: Sentences {
            problems: &[
                "{app} si chiude quando apro l'ordine {n}.",
                "{app} mi ha addebitato {n} € due volte.",
                "Non riesco ad accedere a {app}: errore {n}.",
                "Pagina bianca in {app} dopo il passo {n}.",
            ],
            details: &[
                "Versione 1.{n}.",
                "Prima dell'aggiornamento funzionava.",
                "Il pulsante non risponde.",
                "Ho provato {n} volte.",
            ],
            wishes: &[
                "Rimborsatemi.",
                "Correggete, per favore.",
                "Perché nessuno risponde?",
            ],
        },
    },
    Language {
        streets: &[
            "calle Mayor",
            "avenida del Niño",
            "plaza España",
            "paseo Marítimo",
            "calle Ñuñoa",
        ],
        physical: Sentences {
            problems: &[
                "Basura tirada en {at}, unas {n} bolsas.",
                "Bache de {n} cm en {at}.",
                "La farola {n} de {at} no funciona.",
                "Banco roto en {at}, faltan {n} tablas.",
            ],
            details: &[
                "Lleva {n} días así.",
                "Pasan niños.",
                "Ya avisé y no vino nadie.",
                "Huele fatal.",
            ],
            wishes: &["¡Por favor, límpienlo!", "¿Quién es el responsable?", "Gracias."],
        },
        digital: Sentences {
            problems: &[
                "{app} se cierra al abrir el pedido {n}.",
                "{app} me cobró dos veces {n} €.",
                "No puedo entrar en {app}: error {n}.",
                "{app} se queda en blanco después del paso {n}.",
            ],
            details: &[
                "Versión 7.{n}.",
                "Antes de actualizar funcionaba.",
                "El botón no hace nada.",
                "Lo intenté {n} veces.",
            ],
            wishes: &[
                "Quiero mi dinero.",
                "Arréglenlo, por favor.",
                "¿Cuándo lo corrigen?",
            ],
        },
    },
    Language {
        streets: &[
            "Cumhuriyet Caddesi",
            "İnönü Sokağı",
            "Çarşı Meydanı",
            "Gül Sokak",
            "Şişhane Yokuşu",
        ],
        physical: Sentences {
            problems: &[
                "{at} önüne çöp dökülmüş, {n} torba.",
                "{at} önünde {n} cm derinliğinde çukur var.",
                "{at} yanındaki {n} numaralı lamba yanmıyor.",
                "{at} karşısındaki bank kırık, {n} tahta eksik.",
            ],
            details: &[
                "{n} gündür böyle.",
                "Çocuklar buradan geçiyor.",
                "Daha önce bildirdim, gelen olmadı.",
                "Çok kötü kokuyor.",
            ],
            wishes: &["Lütfen ilgilenin.", "Kim sorumlu?", "Teşekkürler."],
        },
        digital: Sentences {
            problems: &[
                "{app} {n} numaralı siparişi açınca çöküyor.",
                "{app} iki kez {n} TL çekti.",
                "{app} girişi çalışmıyor: hata {n}.",
                "{app} {n}. adımdan sonra boş sayfa gösteriyor.",
            ],
            details: &[
                "Sürüm 8.{n}.",
                "Güncellemeden önce çalışıyordu.",
                "Düğmeye basınca bir şey olmuyor.",
                "{n} kez denedim.",
            ],
            wishes: &["Paramı iade edin.", "Lütfen düzeltin.", "Ne zaman düzelecek?"],
        },
    },
    Language {
        streets: &[
            "ул. Ленина",
            "Садовая ул.",
            "пр. Мира",
            "Набережная",
            "Зелёный переулок",
        ],
        physical: Sentences {
            problems: &[
                "Свалка у дома {at}, мешков {n}.",
                "Яма на дороге, {at}, глубина {n} см.",
                "Не горит фонарь №{n} ({at}).",
                "Сломана скамейка, {at}, нет {n} досок.",
            ],
            details: &[
                "Уже {n} дней так.",
                "Здесь ходят дети.",
                "Писал раньше, ничего не сделали.",
                "Ночью опасно.",
            ],
            wishes: &["Прошу убрать.", "Кто отвечает?", "Спасибо."],
        },
        digital: Sentences {
            problems: &[
                "{app} вылетает при открытии заказа {n}.",
                "{app} дважды списал {n} ₽.",
                "Не могу войти в {app}: ошибка {n}.",
                "В {app} пустая страница после шага {n}.",
            ],
            details: &[
                "Версия 9.{n}.",
                "До обновления всё работало.",
                "Поддержка молчит.",
                "Пробовал {n} раз.",
            ],
            wishes: &["Верните деньги.", "Исправьте, пожалуйста.", "Когда починят?"],
        },
    },
    Language {
        streets: &[
            "вул. Хрещатик",
            "вул. Шевченка",
            "площа Ринок",
            "Їжакова вул.",
            "просп. Свободи",
        ],
        physical: Sentences {
            problems: &[
                "Звалище біля {at}, {n} мішків.",
                "Яма на дорозі, {at}, {n} см.",
                "Не світить ліхтар №{n} ({at}).",
                "Зламана лавка, {at}.",
            ],
            details: &[
                "Вже {n} днів.",
                "Тут ходять діти.",
                "Писала раніше — без відповіді.",
                "Вночі небезпечно.",
            ],
            wishes: &["Приберіть, будь ласка.", "Хто відповідає?", "Дякую."],
        },
        digital: Sentences {
            problems: &[
                "{app} вилітає, коли відкриваю замовлення {n}.",
                "{app} двічі зняв {n} ₴.",
                "Не можу увійти в {app}: помилка {n}.",
                "{app} показує порожню сторінку після кроку {n}.",
            ],
            details: &[
                "Версія 2.{n}.",
                "До оновлення працювало.",
                "Підтримка мовчить.",
                "Пробувала {n} разів.",
            ],
            wishes: &["Поверніть гроші.", "Виправте, будь ласка.", "Чому так?"],
        },
    },
    Language {
        streets: &[
            "οδός Ερμού",
            "πλατεία Συντάγματος",
            "λεωφόρος Αθηνών",
            "οδός Αιόλου",
            "παραλία",
        ],
        physical: Sentences {
            problems: &[
                "Σκουπίδια μπροστά από {at}, {n} σακούλες.",
                "Λακκούβα {n} εκατοστά, {at}.",
                "Η λάμπα {n} κοντά στο {at} δεν ανάβει.",
                "Σπασμένο παγκάκι, {at}.",
            ],
            details: &[
                "Εδώ και {n} μέρες.",
                "Περνάνε παιδιά.",
                "Το έχω ξαναπεί, δεν ήρθε κανείς.",
            ],
            wishes: &["Παρακαλώ καθαρίστε.", "Ποιος είναι υπεύθυνος;", "Ευχαριστώ."],
        },
        digital: Sentences {
            problems: &[
                "Το {app} κλείνει όταν ανοίγω την παραγγελία {n}.",
                "Το {app} με χρέωσε δύο φορές {n} €.",
                "Δεν μπορώ να συνδεθώ στο {app}: σφάλμα {n}.",
            ],
            details: &[
                "Έκδοση 3.{n}.",
                "Πριν την ενημέρωση δούλευε.",
                "Προσπάθησα {n} φορές.",
            ],
            wishes: &["Θέλω τα λεφτά μου.", "Διορθώστε το.", "Πότε θα φτιαχτεί;"],
        },
    },
    Language {
        streets: &["شارع التحرير", "شارع الجامعة", "ميدان السوق", "شارع النيل"],
        physical: Sentences {
            problems: &[
                "قمامة أمام {at}، حوالي {n} كيسًا.",
                "حفرة عميقة في {at}، {n} سم.",
                "عمود الإنارة رقم {n} في {at} لا يعمل.",
                "مقعد مكسور عند {at}.",
            ],
            details: &["منذ {n} أيام.", "يمر الأطفال من هنا.", "أبلغت من قبل ولم يأتِ أحد."],
            wishes: &["الرجاء التنظيف.", "من المسؤول؟", "شكرًا."],
        },
        digital: Sentences {
            problems: &[
                "تطبيق {app} يتوقف عند فتح الطلب {n}.",
                "خصم {app} مبلغ {n} مرتين.",
                "لا أستطيع الدخول إلى {app}: خطأ {n}.",
            ],
            details: &["الإصدار 4.{n}.", "كان يعمل قبل التحديث.", "حاولت {n} مرات."],
            wishes: &["أعيدوا المال.", "أصلحوه من فضلكم.", "متى الحل؟"],
        },
    },
    Language {
        streets: &["人民路", "中山北路", "解放大街", "南京东路"],
        physical: Sentences {
            problems: &[
                "{at}号门口堆了{n}袋垃圾。",
                "{at}号前面有个{n}厘米深的坑。",
                "{at}号旁边的{n}号路灯不亮。",
                "{at}号对面的长椅坏了。",
            ],
            details: &[
                "已经{n}天了。",
                "孩子们每天都经过这里。",
                "之前反映过，没有人来。",
            ],
            wishes: &["请尽快处理。", "谁负责？", "谢谢。"],
        },
        digital: Sentences {
            problems: &[
                "打开订单{n}时{app}闪退。",
                "{app}重复扣款{n}元。",
                "{app}登录不了，错误{n}。",
            ],
            details: &["版本5.{n}。", "更新之前是好的。", "试了{n}次都不行。"],
            wishes: &["请退款。", "请修复。", "什么时候能好？"],
        },
    },
    Language {
        streets: &["本町", "中央通り", "さくら台", "港区みなと"],
        physical: Sentences {
            problems: &[
                "{at}番地の前にゴミ袋が{n}個捨てられています。",
                "{at}番地の道路に深さ{n}センチの穴があります。",
                "{at}番地の街灯{n}番が消えています。",
                "{at}番地のベンチが壊れています。",
            ],
            details: &[
                "もう{n}日間このままです。",
                "子どもの通学路です。",
                "前にも連絡しましたが対応がありません。",
            ],
            wishes: &[
                "至急お願いします。",
                "担当はどこですか。",
                "よろしくお願いします。",
            ],
        },
        digital: Sentences {
            problems: &[
                "{app}で注文{n}を開くと落ちます。",
                "{app}に{n}円を二重請求されました。",
                "{app}にログインできません（エラー{n}）。",
            ],
            details: &[
                "バージョン6.{n}です。",
                "更新前は動いていました。",
                "{n}回試しました。",
            ],
            wishes: &["返金してください。", "修正してください。", "いつ直りますか？"],
        },
    },
];
