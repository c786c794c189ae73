//! The grammar of `accept-encoding` (RFC 9110, section 12.5.3) and the choice from it.
//!
//! Connect and gRPC use the subset without quality values.

/// One element of the list.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Element<'a> {
    coding: &'a [u8],
    /// In thousandths; `None` when the element has no `q`.
    quality: Option<u16>,
}

/// The best algorithm so far, by its index among the known ones.
#[derive(Debug, Default)]
pub(super) struct Choice {
    best: Option<(u16, usize)>,
    /// The quality of `*`.
    others: u16,
    /// The quality that `identity` claims for itself.
    identity: u16,
    /// A bit for each known algorithm that the list names: `*` does not stand for those.
    named: u64,
}

impl Choice {
    pub(super) fn consider(
        &mut self,
        element: &Element<'_>,
        position: impl FnOnce(&[u8]) -> Option<usize>,
    ) {
        let quality = element.quality.unwrap_or(FULL);
        if element.coding == b"*" {
            self.others = self.others.max(quality);
        } else if let Some(index) = position(element.coding) {
            self.named |= bit(index);
            if quality > self.best.map_or(0, |(best, _)| best) {
                self.best = Some((quality, index));
            }
        } else if element.coding.eq_ignore_ascii_case(b"identity") {
            self.identity = self.identity.max(element.quality.unwrap_or(0));
        }
    }

    pub(super) fn decide(&self, known: usize) -> Option<usize> {
        let other = (0..known)
            .find(|&index| self.named & bit(index) == 0 && bit(index) != 0)
            .map(|index| (self.others, index));
        let (quality, index) = match (self.best, other) {
            (Some(best), Some(other)) if other.0 > best.0 => other,
            (Some(best), _) => best,
            (None, other) => other?,
        };
        (quality > 0 && quality >= self.identity).then_some(index)
    }
}

/// The well-formed elements of one header line.
pub(super) fn elements(line: &[u8]) -> impl Iterator<Item = Element<'_>> {
    line.split(|&byte| byte == b',').filter_map(element)
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A quality of 1.
const FULL: u16 = 1000;

/// `coding *( OWS ";" OWS parameter )`; `None` when it is not.
fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut parts = text.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let coding = parts.next().filter(|coding| !coding.is_empty())?;
    if !coding.iter().copied().all(is_token) {
        return None;
    }
    let mut quality = None;
    for parameter in parts {
        if let [b'q' | b'Q', b'=', value @ ..] = parameter {
            quality = Some(parse_quality(value)?);
        }
    }
    Some(Element { coding, quality })
}

/// `qvalue` of RFC 9110, section 12.4.2: 0 to 1 with at most three decimals.
fn parse_quality(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut quality = u16::from(whole - b'0') * FULL;
    let mut weight = FULL / 10;
    for digit in decimals {
        if !digit.is_ascii_digit() {
            return None;
        }
        quality += u16::from(digit - b'0') * weight;
        weight /= 10;
    }
    (quality <= FULL).then_some(quality)
}

/// Past the 64th algorithm `*` stands for none: a set of that size fits one word.
fn bit(index: usize) -> u64 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u64.checked_shl(index))
        .unwrap_or(0)
}
