//! The hash functions of Berkeley DB and how a file says which one it uses.

/// The key whose hash a file keeps in `h_charkey`, so that a reader can tell the function.
const CHARKEY: &[u8] = b"%$sniglet^&\0";

/// A function from key bytes to 32 bits. Files name it only by what it makes of one fixed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// `__ham_func2`: Phong Vo's linear congruential hash.
    Func2,
    /// `__ham_func3`: the hash of sdbm.
    Func3,
    /// `__ham_func4`: Chris Torek's hash; also the page checksum.
    Func4,
    /// `__ham_func5`: Fowler/Noll/Vo, multiplication first, starting from 0. The default of every
    /// version since 5 and the one this crate writes.
    Func5,
}

impl HashFunction {
    const ALL: [HashFunction; 4] = [
        HashFunction::Func5,
        HashFunction::Func4,
        HashFunction::Func3,
        HashFunction::Func2,
    ];

    /// The hash of `key`: exactly the bytes as stored, a trailing NUL included.
    #[inline]
    pub fn hash(self, key: &[u8]) -> u32 {
        self.extend(0, key)
    }

    /// The hash of `parts` put together.
    pub(crate) fn hash_parts(self, parts: &[&[u8]]) -> u32 {
        parts.iter().fold(0, |h, part| self.extend(h, part))
    }

    /// The hash of a key that begins with bytes of hash `h` and goes on with `key`.
    #[inline]
    pub(crate) fn extend(self, h: u32, key: &[u8]) -> u32 {
        fn fold(h: u32, key: &[u8], step: impl Fn(u32, u8) -> u32) -> u32 {
            key.iter().fold(h, |h, &c| step(h, c))
        }
        match self {
            HashFunction::Func2 => fold(h, key, step2),
            HashFunction::Func3 => fold(h, key, step3),
            HashFunction::Func4 => fold(h, key, step4),
            HashFunction::Func5 => fold(h, key, step5),
        }
    }

    /// The hashes of four keys. Each step of a hash waits for the one before it, so that four take
    /// hardly longer than one.
    pub(crate) fn hash_four(self, keys: [&[u8]; 4]) -> [u32; 4] {
        fn fold(keys: [&[u8]; 4], step: impl Fn(u32, u8) -> u32) -> [u32; 4] {
            let common = keys.iter().map(|key| key.len()).min().unwrap_or(0);
            let split = keys.map(|key| key.split_at_checked(common).unwrap_or_default());
            let [(a, _), (b, _), (c, _), (d, _)] = split;
            let mut hashes = [0; 4];
            for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
                let [h1, h2, h3, h4] = hashes;
                hashes = [step(h1, *a), step(h2, *b), step(h3, *c), step(h4, *d)];
            }
            for (hash, (_, rest)) in hashes.iter_mut().zip(split) {
                *hash = rest.iter().fold(*hash, |h, &c| step(h, c));
            }
            hashes
        }
        match self {
            HashFunction::Func2 => fold(keys, step2),
            HashFunction::Func3 => fold(keys, step3),
            HashFunction::Func4 => fold(keys, step4),
            HashFunction::Func5 => fold(keys, step5),
        }
    }

    /// What a file with this function carries in `h_charkey`.
    pub fn charkey(self) -> u32 {
        self.hash(CHARKEY)
    }

    /// The function of a file with this `h_charkey`; `None` when the application that made the
    /// file brought a function of its own.
    pub fn from_charkey(charkey: u32) -> Option<HashFunction> {
        Self::ALL
            .into_iter()
            .find(|function| function.charkey() == charkey)
    }
}

#[inline]
fn step2(h: u32, c: u8) -> u32 {
    h.wrapping_mul(0x63c6_3cd9)
        .wrapping_add(0x9c39_c33d)
        .wrapping_add(c.into())
}

#[inline]
fn step3(h: u32, c: u8) -> u32 {
    h.wrapping_mul(65599).wrapping_add(c.into())
}

#[inline]
fn step4(h: u32, c: u8) -> u32 {
    h.wrapping_mul(33).wrapping_add(c.into())
}

#[inline]
fn step5(h: u32, c: u8) -> u32 {
    h.wrapping_mul(16_777_619) ^ u32::from(c)
}

/// The hashes of keys that come one after the other.
pub(crate) struct Hashes<'k> {
    function: HashFunction,
    done: Vec<u32>,
    /// The keys behind those, and how many they are.
    waiting: [&'k [u8]; 4],
    count: usize,
}

impl<'k> Hashes<'k> {
    /// None yet.
    pub(crate) fn new(function: HashFunction) -> Hashes<'k> {
        Hashes {
            function,
            done: Vec::new(),
            waiting: [&[]; 4],
            count: 0,
        }
    }

    /// Adds the hash of a key.
    #[inline]
    pub(crate) fn push(&mut self, key: &'k [u8]) {
        if let Some(place) = self.waiting.get_mut(self.count) {
            *place = key;
        }
        self.count += 1;
        if self.count == self.waiting.len() {
            self.done.extend(self.function.hash_four(self.waiting));
            self.count = 0;
        }
    }

    /// The hashes, in the order of the keys.
    pub(crate) fn finish(mut self) -> Vec<u32> {
        let rest = self.waiting.iter().take(self.count);
        self.done.extend(rest.map(|key| self.function.hash(key)));
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        let hundred = b"0123456789".repeat(10);
        for (key, func5, func4, func3, func2) in [
            (&b""[..], 0, 0, 0, 0),
            (b"\0", 0, 0, 0, 0x9c39_c33d),
            (b"a", 0x61, 0x61, 0x61, 0x9c39_c39e),
            (b"a\0", 0x6100_98b3, 0xc81, 0x0061_17df, 0xf93d_9c2b),
            (b"ab", 0x6100_98d1, 0xce3, 0x0061_1841, 0xf93d_9c8d),
            (b"foo", 0x8ffd_6e28, 0x1_c0a4, 0x32a9_4926, 0x13ef_c9eb),
            (
                b"root\0",
                0xdb83_fb78,
                0x084d_aea4,
                0xa2d3_a6be,
                0x1706_a60d,
            ),
            (
                b"postmaster\0",
                0xea91_6a38,
                0x2c12_1092,
                0xe198_ea7e,
                0x1f9b_b4a9,
            ),
            (
                b"example.com\0",
                0x81f1_120d,
                0xb9e6_4af9,
                0x3265_19c3,
                0x5bce_001d,
            ),
            (
                b"user@example.com\0",
                0x6953_485a,
                0xf8e4_f098,
                0x057e_c638,
                0x4118_9815,
            ),
            (
                b"\xff\xfe\x80",
                0x0278_2ae9,
                0x4_5dfd,
                0x7e8f_b081,
                0x4840_ae3c,
            ),
            (
                b"%$sniglet^&",
                0x9f55_618b,
                0x3ad4_cd83,
                0xaa50_3fcb,
                0xf1f3_39fa,
            ),
            (&hundred, 0x2924_14a8, 0x2571_75c2, 0xa935_35b2, 0xa2f5_1f56),
        ] {
            let text = key.escape_ascii();
            assert_eq!(HashFunction::Func5.hash(key), func5, "func5 {text}");
            assert_eq!(HashFunction::Func4.hash(key), func4, "func4 {text}");
            assert_eq!(HashFunction::Func3.hash(key), func3, "func3 {text}");
            assert_eq!(HashFunction::Func2.hash(key), func2, "func2 {text}");
        }
    }

    #[test]
    fn a_file_tells_its_function_by_one_key() {
        for (charkey, function) in [
            (0x5e68_8dd1, Some(HashFunction::Func5)),
            (0x956e_7de3, Some(HashFunction::Func4)),
            (0x298a_b2f5, Some(HashFunction::Func3)),
            (0x3a58_8027, Some(HashFunction::Func2)),
            (0, None),
        ] {
            assert_eq!(
                HashFunction::from_charkey(charkey),
                function,
                "{charkey:#x}"
            );
        }
    }
    #[test]
    fn keys_hashed_together_have_the_hashes_they_have_alone() {
        for function in HashFunction::ALL {
            for count in 0..10 {
                let keys: Vec<Vec<u8>> = (0..count)
                    .map(|n: u8| (0..n * 7 % 5 + n).map(|byte| byte ^ 0xa5).collect())
                    .collect();
                let mut hashes = Hashes::new(function);
                keys.iter().for_each(|key| hashes.push(key));
                let alone: Vec<u32> = keys.iter().map(|key| function.hash(key)).collect();
                assert_eq!(hashes.finish(), alone, "{function:?}");
            }
        }
    }
}
