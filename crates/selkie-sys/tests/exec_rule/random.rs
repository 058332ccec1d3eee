//! Random states, files and calls.

use selkie_caps::{CapSet, CapState, Credentials, FileCaps, FiveSets, Ids, Securebits};

use crate::child::Change;

/// xorshift64*: enough for variety, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let length = u64::try_from(from.len()).unwrap();
        from[usize::try_from(self.next() % length).unwrap()]
    }

    /// Often nothing or everything, sometimes few, sometimes any.
    fn set(&mut self, within: CapSet) -> CapSet {
        let (any, few) = (self.next(), self.next() & self.next() & self.next());
        let bits = self.pick(&[0, u64::MAX, any, few, few]);
        CapSet::from_bits(bits).intersection(within)
    }

    fn ids(&mut self) -> Ids {
        let effective = self.pick(&[0, 1000]);
        let mut other = || if self.one_in(2) { effective } else { self.pick(&[0, 1000]) };
        Ids { real: other(), effective, saved: other(), filesystem: effective }
    }

    pub(crate) fn credentials(&mut self, all: CapSet) -> Credentials {
        let (permitted, inheritable, bounding) = (self.set(all), self.set(all), self.set(all));
        let (effective, ambient) = (self.set(permitted), self.set(permitted.intersection(inheritable)));
        let bits = if self.one_in(2) { 0 } else { u32::try_from(self.next() & 0xff).unwrap() };
        let (user, group) = (self.ids(), self.ids());
        let sets = FiveSets { inheritable, permitted, effective, bounding, ambient };
        Credentials { user, group, sets, securebits: Securebits::from_bits(bits), no_new_privs: self.one_in(4) }
    }

    pub(crate) fn file(&mut self, old: &Credentials, all: CapSet) -> selkie_caps::File {
        // What the process can get, or else most files with the effective flag would only be refused.
        let reach = old.sets.bounding.union(if self.one_in(4) { all } else { CapSet::EMPTY });
        let (permitted, inheritable) = (self.set(reach), self.set(all));
        let mut caps = FileCaps::new(permitted, inheritable, self.one_in(2));
        if self.one_in(4) {
            caps = caps.with_rootid(self.pick(&[0, 1000]));
        }
        selkie_caps::File {
            owner: self.pick(&[0, 0, 1000]),
            group: self.pick(&[0, 27, 1000]),
            set_user_id: self.one_in(3),
            set_group_id: self.one_in(3),
            capabilities: self.one_in(2).then_some(caps),
            nosuid: self.one_in(6),
        }
    }

    pub(crate) fn change(&mut self, old: &Credentials, all: CapSet) -> Change {
        let number = u8::try_from(self.next() % 41).unwrap();
        let within = |random: &mut Self, set: CapSet| {
            let limit = if random.one_in(4) { all } else { set };
            random.set(limit)
        };
        match self.next() % 9 {
            0 | 1 => Change::SetResUid([(); 3].map(|()| self.pick(&[0, 1000, 2000]))),
            2 => Change::SetGid(self.pick(&[0, 1000, 2000])),
            3 => Change::SetFsUid(self.pick(&[0, 1000, 2000])),
            4 => {
                let permitted = within(self, old.sets.permitted);
                let inheritable = within(self, old.sets.inheritable.union(old.sets.permitted).intersection(old.sets.bounding));
                Change::CapSet(CapState { permitted, inheritable, effective: within(self, permitted) })
            }
            5 => Change::DropBounding(number),
            6 => match old.sets.permitted.intersection(old.sets.inheritable).numbers().next() {
                Some(number) if !self.one_in(4) => Change::RaiseAmbient(number),
                _ => Change::RaiseAmbient(number),
            },
            7 if self.one_in(2) => Change::LowerAmbient(number),
            7 => Change::KeepCaps(self.one_in(2)),
            _ => Change::Securebits(Securebits::from_bits(match self.next() % 3 {
                0 => old.securebits.bits(),
                1 => old.securebits.bits() ^ (1 << (self.next() % 8)),
                _ => u32::try_from(self.next() & 0xff).unwrap(),
            })),
        }
    }
}
