//! Numbers of 64 bits divided by a constant, as compilers do it for processors that multiply such numbers at once: by the
//! reciprocal. For smaller processors they call a division that takes any divisor, which alone is half a KiB of code.

/// `number / 10`, and what is left.
pub(crate) const fn by_ten(number: u64) -> (u64, u8) {
    let quotient = high_product(number, 0xcccc_cccc_cccc_cccd) >> 3;
    (quotient, (number - quotient * 10) as u8)
}

/// `number / 1_000_000`, and what is left.
pub(crate) const fn by_million(number: u64) -> (u64, u32) {
    let quotient = high_product(number, 0x431b_de82_d7b6_34db) >> 18;
    (quotient, (number - quotient * 1_000_000) as u32)
}

/// The upper half of a product.
#[cfg_attr(feature = "opt-size", inline(never))]
const fn high_product(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn is_right(number: u64) -> bool {
        by_ten(number) == (number / 10, (number % 10) as u8)
            && by_million(number) == (number / 1_000_000, (number % 1_000_000) as u32)
    }

    #[test]
    fn quotients_change_where_they_must() {
        for divisor in [10, 1_000_000] {
            let most = u64::MAX / divisor;
            // Around multiples of the divisor, small and large, and the largest numbers of all.
            for quotient in (0..1_000).chain((0..64).map(|bits| most >> bits)).chain(most - 1_000..=most) {
                let multiple = quotient * divisor;
                assert!(is_right(multiple) && is_right(multiple.saturating_sub(1)) && is_right(multiple | 1));
            }
        }
        assert!((0..1_000).all(|less| is_right(u64::MAX - less)));
    }

    quickcheck! {
        fn any_number_is_divided(number: u64, bits: u8) -> bool {
            is_right(number >> (bits % 64))
        }
    }
}
