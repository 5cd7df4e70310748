//! Which device is which: the order of signs, layers, twins, and what is explained of it.

use super::*;

#[test]
fn an_exact_name_goes_before_a_service_of_its_own_before_a_longer_beginning_before_data_before_a_service() {
    let other = |id: &str, matching: &str| {
        ACME.replace("\"acme\"", &format!("\"{id}\""))
            .replace("names = [\"Acme One\", \"AC-*\"]", matching)
            .replace("fff0", id)
    };
    let sources = [
        source(
            Layer::Plugins,
            "1",
            &other(
                "aaa1",
                "names = [\"AC*\"]\nadvertised_services = [\"0000fff0-0000-1000-8000-00805f9b34fb\"]",
            )
            .replace("\"aaa1\"", "\"short\""),
        ),
        source(Layer::Plugins, "2", &other("aaa2", "names = [\"AC-12\"]").replace("\"aaa2\"", "\"exact\"")),
        source(Layer::Plugins, "3", ACME),
        source(
            Layer::Plugins,
            "4",
            &other("aaa4", "manufacturer_data = [{ company = 620, data = \"ff 21\" }]")
                .replace("\"aaa4\"", "\"data\""),
        ),
        source(
            Layer::Plugins,
            "5",
            &other("aaa5", "manufacturer_data = [{ company = 620 }]").replace("\"aaa5\"", "\"company\""),
        ),
        source(
            Layer::Plugins,
            "6",
            &other("aaa6", "advertised_services = [\"00001234-0000-1000-8000-00805f9b34fb\"]")
                .replace("\"aaa6\"", "\"own\""),
        ),
        source(
            Layer::Plugins,
            "7",
            &other("aaa7", "advertised_services = [\"0000aaa5-0000-1000-8000-00805f9b34fb\"]")
                .replace("\"aaa7\"", "\"service\""),
        ),
    ];
    let (catalogue, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    assert_eq!(problems, []);
    let advertisement = Advertisement::Bluetooth {
        name: Some("AC-12".into()),
        manufacturer_data: vec![(620, vec![0, 0xff, 0x21])],
        services: ["00001234", "0000aaa5"]
            .map(|short| format!("{short}-0000-1000-8000-00805f9b34fb").parse().unwrap())
            .into(),
    };
    let wanted = [
        "exact: the name is `AC-12`",
        "own: the service 00001234-0000-1000-8000-00805f9b34fb is advertised",
        "acme: the name matches `AC-*`",
        "short: the name matches `AC*`",
        "data: the manufacturer data of company 620 matches ff 21",
        "company: there is manufacturer data of company 620",
        "service: the service 0000aaa5-0000-1000-8000-00805f9b34fb is advertised",
    ];
    assert_eq!(found(&catalogue, &advertisement), wanted);
}

#[test]
fn a_later_layer_goes_first_and_replaces_a_protocol_of_the_same_id() {
    let mine = ACME.replace("\"acme\"", "\"mine\"").replace("\"Acme One\", \"AC-*\"", "\"AC*\"");
    assert_eq!(
        found(&good(&mine), &named("AC-1")),
        ["mine: the name matches `AC*`", "acme: the name matches `AC-*`"]
    );
    let same = good(&ACME.replace("Acme Device", "Replaced"));
    assert_eq!(same.resolve("acme", "AC-1", "a").unwrap().name, "Replaced");
    assert_eq!(found(&same, &named("AC-1")).len(), 1);
}

#[test]
fn two_protocols_of_one_layer_that_cannot_be_told_apart_are_a_problem_of_both_files() {
    let twin = ACME.replace("\"acme\"", "\"twin\"").replace("\"Acme One\", \"AC-*\"", "\"AC-*\"");
    let sources = [source(Layer::Plugins, "a", ACME), source(Layer::Plugins, "b", &twin)];
    let (_, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let wanted = [
        "a: `acme` and `twin` (b) cannot be told apart: for both, the name matches `AC-*`",
        "b: `twin` and `acme` (a) cannot be told apart: for both, the name matches `AC-*`",
    ];
    assert_eq!(said, wanted);
    let apart = [
        source(Layer::Plugins, "a", ACME),
        source(Layer::Plugins, "b", &twin.replace("0000fff0", "0000ffe0")),
    ];
    assert_eq!(Catalogue::build(&apart, None, &AnyTemplate).1, []);
    let same = [source(Layer::Plugins, "a", ACME), source(Layer::Plugins, "b", ACME)];
    let said = Catalogue::build(&same, None, &AnyTemplate).1[0].to_string();
    assert_eq!(said, "b:3: protocol[0].id: the protocol `acme` is defined by a already");
}

#[test]
fn a_model_of_the_user_is_recognised_and_resolved() {
    let catalogue = good(
        "[[model]]\nprotocol = 'acme'\nidentifiers = ['Own']\nname = 'My Own'\nbluetooth = [{ names = ['Own'] }]\nserial = [{ port = '/dev/ttyUSB7', baud_rate = 9600 }]\n",
    );
    let candidates = catalogue.find(&named("Own"));
    let Some(Way::Bluetooth(services)) = candidates.first().map(|one| &one.way) else {
        panic!("{candidates:?}")
    };
    assert_eq!(services.len(), 1, "the services of the protocol");
    let resolved = catalogue.resolve("acme", "Own", "a").unwrap();
    assert_eq!((resolved.name.as_str(), resolved.features.len()), ("My Own", 1));
    let port = Advertisement::Serial { port: "/dev/ttyUSB7".into(), usb: None };
    assert_eq!(found(&catalogue, &port), ["acme: the port is `/dev/ttyUSB7`"]);
}

#[test]
fn a_service_that_every_device_has_tells_nothing() {
    let [battery, own, other] = [0x180f_u128, 0xfff0, 0xffe0]
        .map(|short| uuid::Uuid::from_u128((short << 96) | 0x1000_8000_0080_5f9b_34fb));
    assert!(services_fit(&[battery, own], &[battery, own]));
    assert!(!services_fit(&[battery, own], &[battery, other]));
    assert!(services_fit(&[battery], &[battery]));
}

#[test]
fn explain_says_what_matches_and_why() {
    let catalogue = good(&device("deny = true"));
    let lines = catalogue.explain(&named("Acme One"), Some("AA:01"));
    assert_eq!(
        lines,
        [
            "1. acme (Acme Device), plugin folder acme: the name is `Acme One`",
            "  it must have the service 0000fff0-0000-1000-8000-00805f9b34fb",
            "  run by its template",
            "  not offered: denied by u",
        ]
    );
    assert_eq!(catalogue.explain(&named("Acme One"), None)[3], "  listed as `Acme One`: Acme One");
    let mine = good(
        "[[model]]\nprotocol = 'acme'\nidentifiers = ['Mine']\nname = 'My toy'\nbluetooth = [{ names = ['Mine'] }]\n",
    );
    let lines = mine.explain(&named("Mine"), None);
    assert_eq!(
        lines[0], "1. acme (Acme Device), user u: the name is `Mine`",
        "the file of the layer is named"
    );
    assert_eq!(lines[2..], ["  run by the template in acme", "  listed as `Mine`: My toy"]);
    let near = catalogue.explain(&named("acme one "), None);
    assert_eq!(
        near,
        [
            "nothing matches",
            "  `Acme One` of acme is close: upper and lower case, and blanks at the ends, count"
        ]
    );
}
