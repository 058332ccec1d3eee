//! The orders of `ps --sort`.

use crate::ui::error::Failure;

/// One of Podman's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Command,
    Created,
    Id,
    Image,
    Names,
    /// Those that were started last come last.
    RunningFor,
    /// Sizes are not measured: as they were created.
    Size,
    Status,
}

/// What an order goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) image: String,
    pub(super) command: String,
    /// RFC 3339; `None` when nobody knows, which sorts first.
    pub(super) created: Option<&'a str>,
    /// Seconds since 1970; 0 when it was never started.
    pub(super) started: i64,
    pub(super) status: u8,
}

/// What is compared: a number, then a text.
pub(super) type Key = (i64, String);

impl Order {
    /// Reads the value of `--sort`.
    pub(super) fn parse(word: &str) -> Result<Self, Failure> {
        Ok(match word {
            "command" => Self::Command,
            "created" => Self::Created,
            "id" => Self::Id,
            "image" => Self::Image,
            "names" => Self::Names,
            "runningfor" => Self::RunningFor,
            "size" => Self::Size,
            "status" => Self::Status,
            _ => {
                return Err(Failure::usage(format!(
                    "invalid argument {word:?} for \"--sort\" flag: {word:?} is not a valid value.  \
                     Choose from: \"command, created, id, image, names, runningfor, size, status\""
                )));
            }
        })
    }

    /// Returns what containers are compared by.
    pub(super) fn key(self, place: &Place<'_>) -> Key {
        let text = |text: &str| (0, text.to_owned());
        match self {
            Self::Command => text(&place.command),
            Self::Created | Self::Size => created(place.created),
            Self::Id => text(place.id),
            Self::Image => text(&place.image),
            Self::Names => text(place.name),
            Self::RunningFor => (place.started, String::new()),
            Self::Status => (i64::from(place.status), String::new()),
        }
    }
}

/// Engines write the time in different zones and with different numbers of digits.
fn created(time: Option<&str>) -> Key {
    let Some(time) = time.and_then(crate::ui::time::parse) else { return (i64::MIN, String::new()) };
    (time.as_second(), format!("{:09}", time.subsec_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: Order, places: &[Place<'_>]) -> Vec<String> {
        let mut places = places.to_vec();
        places.sort_by_cached_key(|place| order.key(place));
        places.iter().map(|place| place.name.to_owned()).collect()
    }

    #[test]
    fn key_of_every_order() {
        let place = |name, id, created, started| Place {
            id,
            name,
            image: format!("{id}-image"),
            command: format!("{name}-command"),
            created,
            started,
            status: u8::from(started == 0),
        };
        let places = [
            place("b", "1", Some("2026-01-02T03:04:05.5Z"), 7),
            place("c", "3", Some("2026-01-02T04:04:05.123456789+01:00"), 0),
            place("a", "2", None, 9),
        ];
        assert_eq!(sorted(Order::Names, &places), ["a", "b", "c"]);
        assert_eq!(sorted(Order::Command, &places), ["a", "b", "c"]);
        assert_eq!(sorted(Order::Id, &places), ["b", "a", "c"]);
        assert_eq!(sorted(Order::Image, &places), ["b", "a", "c"]);
        assert_eq!(sorted(Order::Created, &places), ["a", "c", "b"]);
        assert_eq!(sorted(Order::Size, &places), ["a", "c", "b"]);
        assert_eq!(sorted(Order::RunningFor, &places), ["c", "b", "a"]);
        assert_eq!(sorted(Order::Status, &places), ["b", "a", "c"]);
    }

    #[test]
    fn parse_of_another_word_is_podmans_error() {
        let error = Order::parse("foo").unwrap_err();
        assert_eq!(
            error.line(),
            "invalid argument \"foo\" for \"--sort\" flag: \"foo\" is not a valid value.  \
             Choose from: \"command, created, id, image, names, runningfor, size, status\""
        );
    }
}
