//! The jump hash of carbon-c-relay, and its order of nodes.

use std::cmp::Ordering;

use super::Node;

/// The places of the nodes in the order that buckets are numbered in: by instance, as numbers where
/// both are, and those without one behind, as configured.
pub(super) fn order(nodes: &[Node]) -> Vec<usize> {
    let mut order: Vec<(usize, &Node)> = nodes.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_bytes().cmp(b.as_bytes()),
        },
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    order.into_iter().map(|(place, _)| place).collect()
}

fn number(instance: &str) -> Option<u64> {
    instance.bytes().all(|byte| byte.is_ascii_digit()).then(|| instance.parse().ok())?
}

/// The bucket of a hash, of so many.
fn bucket(mut key: u64, buckets: usize) -> usize {
    let (mut bucket, mut next) = (0_i64, 0_i64);
    while (next as usize) < buckets {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let step = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * step) as i64;
    }
    bucket as usize
}

/// Appends so many different nodes, in the order in which they are chosen.
pub(super) fn place(order: &[usize], mut hash: u64, count: usize, places: &mut Vec<usize>) {
    let mut left = order.to_vec();
    for _ in 0..count.min(order.len()) {
        places.push(left.swap_remove(bucket(hash, left.len())));
        hash ^= hash >> 12;
        hash ^= hash << 25;
        hash ^= hash >> 27;
        hash = hash.wrapping_mul(2_685_821_657_736_338_717);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_buckets() {
        for (hash, three, eight) in [
            (0xaf63_dc4c_8601_ec8c, 2, 2),
            (0xa932_87dd_f705_0214, 1, 7),
            (0x20cc_07a7_ef5e_248a_u64, 0, 5),
        ] {
            assert_eq!((bucket(hash, 3), bucket(hash, 8)), (three, eight));
        }
    }

    #[test]
    fn nodes_are_in_the_order_of_their_instances() {
        let node = |instance| Node::new("h", 1, instance);
        let nodes = [Some("10"), None, Some("9"), Some("b"), None, Some("a")].map(node);
        assert_eq!(order(&nodes), [2, 0, 5, 3, 1, 4]);
    }
}
