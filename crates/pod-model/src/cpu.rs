//! Cpu amounts in the units of the two cgroup versions.

/// Least `cpu.shares` of the kernel.
pub const MIN_SHARES: u64 = 2;
/// Most `cpu.shares` of the kernel.
pub const MAX_SHARES: u64 = 262_144;
/// `cpu.shares` of one cpu.
const SHARES_PER_CPU: i64 = 1024;
/// Period in µs unless a node says otherwise.
pub const QUOTA_PERIOD: i64 = 100_000;
/// Least quota in µs that the kernel takes.
const MIN_QUOTA: i64 = 1000;
/// Most `cpu.weight` of the kernel; the least is 1.
const MAX_WEIGHT: u64 = 10_000;

/// v1 `cpu.shares` of a request in thousandths of a cpu; 2 for none.
pub fn milli_cpu_to_shares(milli: i64) -> u64 {
    let shares = milli.saturating_mul(SHARES_PER_CPU) / 1000;
    u64::try_from(shares)
        .unwrap_or(0)
        .clamp(MIN_SHARES, MAX_SHARES)
}

/// Quota in µs for each `period` µs of a limit in thousandths of a cpu; 0 (no quota) for none, else at least 1000.
pub fn milli_cpu_to_quota(milli: i64, period: i64) -> i64 {
    if milli == 0 {
        return 0;
    }
    (milli.saturating_mul(period) / 1000).max(MIN_QUOTA)
}

/// The request that gave these `cpu.shares`, rounded up; 0 below the least shares.
pub fn shares_to_milli_cpu(shares: i64) -> i64 {
    if shares < 2 {
        return 0;
    }
    let thousandfold = shares.saturating_mul(1000);
    thousandfold / SHARES_PER_CPU + i64::from(thousandfold % SHARES_PER_CPU != 0)
}

/// The limit that gave this quota; 0 for none (-1) or a period of 0.
pub fn quota_to_milli_cpu(quota: i64, period: i64) -> i64 {
    if quota == -1 {
        return 0;
    }
    quota.saturating_mul(1000).checked_div(period).unwrap_or(0)
}

/// v2 `cpu.weight` that the kubelet writes to a pod's cgroup: linear in the shares.
pub fn shares_to_pod_weight(shares: u64) -> u64 {
    if shares >= MAX_SHARES {
        return MAX_WEIGHT;
    }
    1 + shares.saturating_sub(MIN_SHARES) * (MAX_WEIGHT - 1) / (MAX_SHARES - MIN_SHARES)
}

/// The shares that gave this linear weight, as the kubelet reads them back.
pub fn pod_weight_to_shares(weight: u64) -> u64 {
    weight
        .saturating_sub(1)
        .saturating_mul(MAX_SHARES - MIN_SHARES)
        / (MAX_WEIGHT - 1)
        + MIN_SHARES
}

/// v2 `cpu.weight` that an OCI runtime writes to a container's cgroup: a quadratic in the logarithm of the shares, so that 1024 shares
/// give the kernel's default weight 100. 0 (not set) stays 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "shares lie between 2 and 262144 and the weight between 1 and 10000"
)]
pub fn shares_to_container_weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1..=MIN_SHARES => 1,
        MAX_SHARES.. => MAX_WEIGHT,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cpu_amounts_become_the_values_that_kubelet_and_runtime_write() {
        // thousandths, shares, linear weight, quadratic weight, quota
        for (milli, shares, linear, quadratic, quota) in [
            (0, 2, 1, 1, 0),
            (10, 10, 1, 4, 1000),
            (100, 102, 4, 17, 10_000),
            (250, 256, 10, 35, 25_000),
            (500, 512, 20, 59, 50_000),
            (1000, 1024, 39, 100, 100_000),
            (2000, 2048, 79, 174, 200_000),
            (4000, 4096, 157, 303, 400_000),
        ] {
            assert_eq!(milli_cpu_to_shares(milli), shares, "shares of {milli}");
            assert_eq!(shares_to_pod_weight(shares), linear, "weight of {milli}");
            assert_eq!(
                shares_to_container_weight(shares),
                quadratic,
                "container weight of {milli}"
            );
            assert_eq!(
                milli_cpu_to_quota(milli, QUOTA_PERIOD),
                quota,
                "quota of {milli}"
            );
        }
    }

    #[test]
    fn the_ends_are_those_of_the_kernel() {
        assert_eq!(milli_cpu_to_shares(i64::MAX), MAX_SHARES);
        assert_eq!(milli_cpu_to_shares(-5), MIN_SHARES);
        assert_eq!(shares_to_pod_weight(0), 1);
        assert_eq!(shares_to_pod_weight(u64::MAX), MAX_WEIGHT);
        assert_eq!(
            shares_to_pod_weight(227_751),
            8688,
            "linear between the ends"
        );
        assert_eq!(shares_to_container_weight(u64::MAX), MAX_WEIGHT);
        assert_eq!(pod_weight_to_shares(0), MIN_SHARES);
        assert_eq!(pod_weight_to_shares(MAX_WEIGHT), MAX_SHARES);
        assert_eq!(quota_to_milli_cpu(-1, QUOTA_PERIOD), 0);
        assert_eq!(quota_to_milli_cpu(50_000, QUOTA_PERIOD), 500);
        assert_eq!(quota_to_milli_cpu(1, 0), 0);
        assert_eq!(
            quota_to_milli_cpu(-1, 100),
            0,
            "-1 is none, whatever the period"
        );
        assert_eq!((shares_to_milli_cpu(1), shares_to_milli_cpu(2)), (0, 2));
        assert_eq!(shares_to_container_weight(0), 0, "not set stays so");
        assert_eq!(shares_to_container_weight(1), 1);
    }

    #[test]
    fn every_quadratic_weight_lies_in_range_and_never_falls() {
        let mut last = 0;
        for shares in 1..=MAX_SHARES {
            let weight = shares_to_container_weight(shares);
            assert!((1..=MAX_WEIGHT).contains(&weight) && weight >= last);
            last = weight;
        }
    }

    proptest! {
        #[test]
        fn more_cpu_is_never_fewer_shares_less_weight_or_a_smaller_quota(a in 0..1_000_000_i64, b in 0..1_000_000_i64) {
            let (less, more) = (a.min(b), a.max(b));
            let values = |milli| {
                let shares = milli_cpu_to_shares(milli);
                let weight = shares_to_pod_weight(shares);
                assert!((MIN_SHARES..=MAX_SHARES).contains(&shares), "{milli}: {shares} shares");
                assert!((1..=MAX_WEIGHT).contains(&weight), "{milli}: weight {weight}");
                (shares, weight, milli_cpu_to_quota(milli, QUOTA_PERIOD))
            };
            let (x, y) = (values(less), values(more));
            prop_assert!(x.0 <= y.0 && x.1 <= y.1 && x.2 <= y.2, "{:?} {:?}", x, y);
        }

        #[test]
        fn what_a_cgroup_holds_reads_back_as_what_was_asked_for(milli in 10..256_000_i64, weight in 1..=MAX_WEIGHT) {
            let shares = i64::try_from(milli_cpu_to_shares(milli)).unwrap();
            prop_assert_eq!(shares_to_milli_cpu(shares), milli);
            prop_assert_eq!(quota_to_milli_cpu(milli_cpu_to_quota(milli, QUOTA_PERIOD), QUOTA_PERIOD), milli);
            let again = shares_to_pod_weight(pod_weight_to_shares(weight));
            prop_assert!(again == weight || again + 1 == weight, "weight {} read as {}", weight, again);
        }
    }
}
