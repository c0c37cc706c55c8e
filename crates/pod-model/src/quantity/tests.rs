//! Quantities: texts against values, and laws that hold for all of them.

use super::*;
use proptest::prelude::*;

fn q(text: &str) -> Quantity {
    text.parse()
        .unwrap_or_else(|e| panic!("{text:?} was not taken: {e}"))
}

#[test]
fn equal_amounts_are_equal_however_they_are_written() {
    for (a, b) in [
        ("1Gi", "1024Mi"),
        ("1", "1000m"),
        ("1k", "1e3"),
        ("0", "0Gi"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
    ] {
        assert_eq!(q(a), q(b), "{a} and {b}");
        let hash = |x: &Quantity| {
            let mut hasher = std::hash::DefaultHasher::new();
            x.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&q(a)), hash(&q(b)), "hashes of {a} and {b}");
    }
}

#[test]
fn what_is_no_quantity_is_refused_with_the_api_servers_words() {
    for (text, error) in [
        ("", QuantityError::Format),
        (" 1", QuantityError::Format),
        ("1+1.0M", QuantityError::Format),
        ("1 ", QuantityError::Format),
        ("1mm", QuantityError::Suffix),
        ("0.1mi", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
        (".e-10", QuantityError::Number),
    ] {
        assert_eq!(text.parse::<Quantity>().unwrap_err(), error, "{text:?}");
    }
    assert!(
        QuantityError::Format
            .to_string()
            .starts_with("quantities must match")
    );
}

#[test]
fn amounts_are_equal_ordered_and_hashed_by_value_however_they_are_held() {
    let hash = |q: &Quantity| {
        let mut hasher = std::hash::DefaultHasher::new();
        q.hash(&mut hasher);
        hasher.finish()
    };
    let (small, wide) = (Amount::small(1, 3), Amount::wide(BigInt::from(1000), 0));
    assert_eq!(small, wide);
    assert_ne!(small, Amount::small(2, 3));
    assert_eq!(
        small.partial_cmp(&Amount::small(2, 3)),
        Some(Ordering::Less)
    );
    assert_ne!(
        hash(&q("1")),
        hash(&q("2")),
        "a hash that tells nothing apart is none"
    );
    assert_eq!(format!("{:?}", q("1Gi")), "Quantity(1Gi)");
}

#[test]
fn what_is_finer_than_a_billionth_is_rounded_away_from_zero() {
    for (unscaled, scale, text) in [
        (15, -10, "2n"),
        (-15, -10, "-2n"),
        (20, -10, "2n"),
        (1, -30, "1n"),
        (15, -9, "15n"),
    ] {
        let quantity = Quantity::from_scaled(unscaled, scale, Format::DecimalSI);
        assert_eq!(quantity.to_string(), text, "{unscaled} x 10^{scale}");
    }
    assert_eq!(
        q("0")
            .sub(&Quantity::from_value(i64::MIN, Format::DecimalSI))
            .to_string(),
        "9223372036854775808"
    );
}

#[test]
fn a_text_that_is_kept_stays_where_rounding_had_nothing_to_do() {
    for (text, to, rounded) in [
        ("+5", 0, "+5"),
        ("+5", 3, "1k"),
        ("+5", -3, "+5"),
        ("1500m", 0, "2"),
    ] {
        assert_eq!(
            q(text).round_up(to).0.to_string(),
            rounded,
            "{text} to 10^{to}"
        );
    }
}

#[test]
fn numbers_and_null_are_read_as_the_api_server_reads_them() {
    use serde::de::IntoDeserializer;
    use serde::de::value::{
        Error, F64Deserializer, I64Deserializer, StrDeserializer, U64Deserializer, UnitDeserializer,
    };
    let text = |text: &'static str| {
        let d: StrDeserializer<'_, Error> = text.into_deserializer();
        Quantity::deserialize(d)
    };
    let (i, u): (I64Deserializer<Error>, U64Deserializer<Error>) =
        ((-3_i64).into_deserializer(), u64::MAX.into_deserializer());
    let (f, n): (F64Deserializer<Error>, UnitDeserializer<Error>) =
        (0.5.into_deserializer(), ().into_deserializer());
    assert_eq!(Quantity::deserialize(i), Ok(q("-3")));
    assert_eq!(Quantity::deserialize(u), Ok(q("18446744073709551615")));
    assert_eq!(Quantity::deserialize(f), Ok(q("500m")));
    assert_eq!(Quantity::deserialize(n), Ok(q("0")));
    assert_eq!(text(" 64Mi "), Ok(q("64Mi")));
    assert!(text("64 Mi").is_err());
    let flag: serde::de::value::BoolDeserializer<Error> = true.into_deserializer();
    let refused = Quantity::deserialize(flag).unwrap_err().to_string();
    assert!(
        refused.contains("a quantity such as 500m or 1Gi"),
        "{refused}"
    );
}

#[test]
fn a_sum_takes_the_format_of_what_it_began_with() {
    for (a, b, sum) in [
        ("100m", "200m", "300m"),
        ("1", "500m", "1500m"),
        ("0", "1Gi", "1Gi"),
        ("1Gi", "512Mi", "1536Mi"),
        ("1G", "1Gi", "2073741824"),
        ("9223372036854775807", "1", "9223372036854775808"),
    ] {
        assert_eq!(q(a).add(&q(b)).to_string(), sum, "{a} + {b}");
        assert_eq!(q(sum).sub(&q(b)), q(a), "{sum} - {b}");
    }
}

#[test]
fn a_huge_exponent_costs_no_time_and_no_panic() {
    for text in [
        "1e999999999",
        "-1e999999999",
        "1e-999999999",
        "9e99999999999999999999",
        &"9".repeat(5000),
        &format!("0.{}1Ei", "0".repeat(5000)),
        &format!("{}Ki", "9".repeat(300)),
    ] {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let _ = (quantity.value(), quantity.milli_value());
            let _ = quantity.add(&quantity).sub(&q("1")).to_string();
            let _ = quantity.round_up(0).0.saturating_value();
        }
    }
    assert_eq!(q("1e30").saturating_value(), i64::MAX);
    assert_eq!(q("12E").saturating_value(), i64::MAX);
    assert_eq!(q("-12E").saturating_value(), i64::MIN);
}

#[test]
fn what_int64_cannot_hold_comes_out_as_it_does_in_kubernetes() {
    for (text, value, milli) in [
        ("12E", 0, 0),
        (
            "99999999999999999k",
            7_766_279_631_452_240_920,
            200_376_420_519_689_664,
        ),
        ("9Ei", i64::MAX, -1000),
        ("-100Ti", -8_568_098_290, -8_568_098_291_071),
    ] {
        assert_eq!(
            (q(text).value(), q(text).milli_value()),
            (value, milli),
            "{text}"
        );
    }
}

#[test]
fn long_numbers_are_exact() {
    for (text, canonical) in [
        (
            "123456789012345678901234567890123456789012345",
            "123456789012345678901234567890123456789012345",
        ),
        ("-2204334000306020000P", "-2204334000306020E"),
        ("1e45", "1e45"),
    ] {
        assert_eq!(q(text).to_string(), canonical, "{text}");
        assert!(
            q(text) == q(canonical) && q(text).add(&q("1")) > q(text),
            "{text}"
        );
        assert_eq!(q(text).add(&q("1n")).sub(&q(text)), q("1n"), "{text}");
    }
}

#[test]
fn a_suffix_beyond_exa_is_written_out() {
    assert_eq!(q("1000E").to_string(), "1000E");
    assert_eq!(q("999E").add(&q("1E")).to_string(), "1000E");
}

#[test]
fn a_binary_amount_has_the_largest_suffix_from_1024_on() {
    for (amount, text) in [
        (1000, "1k"),
        (-1000, "-1k"),
        (1023, "1023"),
        (1024, "1Ki"),
        (1025, "1025"),
        (1 << 60, "1Ei"),
        (1 << 70, "1024Ei"),
    ] {
        let quantity = Quantity::from_scaled(amount, 0, Format::BinarySI);
        assert_eq!(quantity.to_string(), text);
    }
}

#[test]
fn division_rounds_away_from_zero() {
    for (a, b, expect) in [
        ("250m", "1", Some(1)),
        ("2500m", "1", Some(3)),
        ("64Mi", "1Mi", Some(64)),
        ("1", "1m", Some(1000)),
        ("-1500m", "1", Some(-2)),
        ("1", "0", None),
    ] {
        assert_eq!(q(a).ceil_div(&q(b)), expect, "{a} / {b}");
    }
}

/// Suffixes with the power of ten or two that they stand for.
const SUFFIXES: [(&str, u32, i32); 18] = [
    ("n", 10, -9),
    ("u", 10, -6),
    ("m", 10, -3),
    ("", 10, 0),
    ("k", 10, 3),
    ("M", 10, 6),
    ("G", 10, 9),
    ("T", 10, 12),
    ("P", 10, 15),
    ("E", 10, 18),
    ("e3", 10, 3),
    ("E-2", 10, -2),
    ("Ki", 2, 10),
    ("Mi", 2, 20),
    ("Gi", 2, 30),
    ("Ti", 2, 40),
    ("Pi", 2, 50),
    ("Ei", 2, 60),
];

/// Units of 10^-9 in `whole.fraction` with that suffix, by the rule: rounded away from zero, a binary one at most the largest int64.
fn nanos(whole: u16, fraction: &str, (_, base, power): (&str, u32, i32)) -> i128 {
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
    let below = 10_i128.pow(u32::try_from(fraction.len()).unwrap());
    let factor = |n: i32| i128::from(base).pow(n.unsigned_abs());
    let (above, below) = match power {
        0.. => (digits * factor(power) * 1_000_000_000, below),
        _ => (digits * 1_000_000_000, below * factor(power)),
    };
    let all = above / below + i128::from(above % below != 0);
    match base {
        2 => all.min(i128::from(i64::MAX) * 1_000_000_000),
        _ => all,
    }
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    let format = prop_oneof![
        Just(Format::DecimalSI),
        Just(Format::BinarySI),
        Just(Format::DecimalExponent)
    ];
    let number = prop_oneof![
        -1000..1000_i128,
        any::<i64>().prop_map(i128::from),
        -(1_i128 << 90)..(1_i128 << 90),
    ];
    let wide = (number, -9..=9_i32, format.clone())
        .prop_map(|(n, scale, format)| Quantity::from_scaled(n, scale, format));
    let short = (any::<i64>(), format).prop_map(|(n, format)| Quantity::from_milli(n, format));
    prop_oneof![wide, short]
}

proptest! {
    #[test]
    fn a_text_means_the_number_that_it_shows(
        negative in any::<bool>(),
        whole in 0..10_000_u16,
        fraction in "[0-9]{0,6}",
        suffix in prop::sample::select(&SUFFIXES[..]),
    ) {
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{point}{fraction}{}", suffix.0);
        let size = nanos(whole, &fraction, suffix);
        let number = if negative { -size } else { size };
        let quantity = q(&text);
        prop_assert_eq!(&quantity, &Quantity::from_scaled(number, -9, Format::DecimalSI), "{}", text);
        prop_assert_eq!(quantity.sign(), i32::try_from(number.signum()).unwrap());
        let up = |unit: i128| number / unit + i128::from(number % unit > 0) - i128::from(number % unit < 0);
        let saturated = up(1_000_000_000).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        prop_assert_eq!(i128::from(quantity.saturating_value()), saturated, "{}", text);
        // Beyond these, and below zero, Kubernetes gives other numbers (see the tables).
        if (0..1_i128 << 80).contains(&number) {
            prop_assert_eq!(i128::from(quantity.value()), up(1_000_000_000), "value of {}", text);
            prop_assert_eq!(i128::from(quantity.milli_value()), up(1_000_000), "thousandths of {}", text);
        }
    }

    #[test]
    fn what_is_printed_is_printed_so_again(quantity in any_quantity()) {
        prop_assume!(quantity.format() != Format::BinarySI || quantity.abs_fits_int64());
        let text = quantity.to_string();
        let read = q(&text);
        prop_assert_eq!(&read, &quantity, "{}", text);
        // Bytes that are no multiple of 1024 have no suffix, and read as decimal.
        if read.format() == quantity.format() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_canonical_text_has_no_fraction_and_the_largest_suffix_that_loses_nothing(quantity in any_quantity()) {
        let text = quantity.to_string();
        prop_assert!(!text.contains('.'), "{}", text);
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let suffix = text.strip_prefix(digits).unwrap_or_default();
        if suffix != "E" && quantity.format() == Format::DecimalSI && !quantity.is_zero() {
            prop_assert!(!digits.ends_with("000"), "{}", text);
        }
    }

    #[test]
    fn sums_do_not_depend_on_order(a in any_quantity(), b in any_quantity(), c in any_quantity()) {
        prop_assert_eq!(a.add(&b), b.add(&a));
        prop_assert_eq!(a.add(&b).add(&c), a.add(&b.add(&c)));
        prop_assert_eq!(a.sub(&b), Quantity::default().sub(&b.sub(&a)));
        prop_assert_eq!(a.add(&Quantity::default()), a.clone());
        prop_assert_eq!(a.cmp(&b), a.sub(&b).sign().cmp(&0));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.add(&c).cmp(&b.add(&c)), a.cmp(&b), "the same on both sides");
    }

    #[test]
    fn rounding_goes_to_the_next_multiple_and_no_further(quantity in any_quantity(), to in -9..=9_i32) {
        let (rounded, _) = quantity.round_up(to);
        let size = |q: &Quantity| if q.sign() < 0 { Quantity::default().sub(q) } else { q.clone() };
        let unit = Quantity::from_scaled(1, to, Format::DecimalSI);
        prop_assert!(size(&rounded) >= size(&quantity));
        prop_assert!(size(&rounded).sub(&size(&quantity)) < unit);
        prop_assert_eq!(rounded.round_up(to), (rounded.clone(), true));
    }

    #[test]
    fn a_quotient_is_the_least_number_of_parts_that_is_enough(a in 0..1_i64 << 40, s in -3..=3_i32, b in 1..1_i64 << 20) {
        let (a, b) = (Quantity::from_scaled(a.into(), s, Format::DecimalSI), Quantity::from_value(b, Format::BinarySI));
        let parts = a.ceil_div(&b).unwrap();
        let of = |n: i64| Quantity::from_scaled(i128::from(n) * i128::from(b.value()), 0, Format::DecimalSI);
        prop_assert!(of(parts) >= a);
        prop_assert!(parts == 0 || of(parts - 1) < a);
    }

    #[test]
    fn what_is_printed_reads_as_the_same_amount(
        unscaled in -(1_i128 << 96)..(1_i128 << 96),
        scale in -9..=0_i32,
        format in prop_oneof![Just(Format::DecimalSI), Just(Format::BinarySI), Just(Format::DecimalExponent)],
    ) {
        let amount = Quantity::from_scaled(unscaled, scale, format);
        // A binary text is capped at the largest int64 when it is read.
        prop_assume!(format != Format::BinarySI || amount.abs_fits_int64());
        prop_assert_eq!(q(&amount.to_string()), amount);
    }

    #[test]
    fn any_text_is_taken_or_refused_but_never_panics(text in "[-+]?[0-9.]{0,25}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,12}|.{0,20}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let printed = quantity.to_string();
            prop_assert!(printed.parse::<Quantity>().is_ok(), "{} printed as {}", text, printed);
            let _ = (quantity.value(), quantity.milli_value(), quantity.saturating_value());
        }
    }

    #[test]
    fn order_is_that_of_the_numbers(a in any::<i64>(), b in any::<i64>(), s in -9..=9_i32, t in -9..=9_i32) {
        let (x, y) = (
            Quantity::from_scaled(i128::from(a), s, Format::DecimalSI),
            Quantity::from_scaled(i128::from(b), t, Format::DecimalSI),
        );
        let nano = |n: i64, s: i32| i128::from(n) * 10_i128.pow((s + 9).unsigned_abs());
        prop_assert_eq!(x.cmp(&y), nano(a, s).cmp(&nano(b, t)));
        prop_assert_eq!(x.add(&y).sub(&y), x);
    }

    #[test]
    fn rounding_up_never_moves_towards_zero(n in any::<i64>(), s in -9..=3_i32, to in -9..=6_i32) {
        let x = Quantity::from_scaled(i128::from(n), s, Format::DecimalSI);
        let (rounded, exact) = x.round_up(to);
        prop_assert_eq!(exact, rounded == x);
        if n >= 0 {
            prop_assert!(rounded >= x);
        } else {
            prop_assert!(rounded <= x);
        }
    }

    #[test]
    fn a_quantity_survives_serde(n in any::<i64>(), s in -9..=9_i32) {
        use serde::de::IntoDeserializer;
        let x = Quantity::from_scaled(i128::from(n), s, Format::DecimalSI);
        let read = Quantity::deserialize::<serde::de::value::StringDeserializer<serde::de::value::Error>>(
            x.to_string().into_deserializer(),
        );
        prop_assert_eq!(read, Ok(x));
    }
}

impl Quantity {
    fn abs_fits_int64(&self) -> bool {
        let most = Quantity::from_value(i64::MAX, Format::DecimalSI);
        *self <= most && *self >= Quantity::default().sub(&most)
    }
}
