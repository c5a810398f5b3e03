//! CAPA (RFC 2449 §5, §6), LANG and UTF8 (RFC 6856)

use super::{Server, State};
use crate::reply::put_line;
use crate::text::Text;
use crate::{Expire, Language, Maildrop};
use mailwright_sasl::Mechanism;

impl Server {
    pub(super) fn capa(&mut self) {
        self.voice.ok(&mut self.tx, Text::Capabilities);
        for capability in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"] {
            self.row(capability);
        }
        if self.config.allows_user_pass(self.is_tls) {
            self.row("USER");
        }
        let mechanisms = self.mechanisms();
        if !mechanisms.is_empty() {
            self.row(&format!("SASL {}", mechanisms.join(" ")));
        }
        if self.config.stls && !self.is_tls && self.maildrop.is_none() {
            self.row("STLS");
        }
        if self.config.utf8 {
            self.row(if self.config.utf8_user {
                "UTF8 USER"
            } else {
                "UTF8"
            });
        }
        if !self.config.languages.is_empty() {
            self.row("LANG");
        }
        self.policies();
        if let Some(implementation) = self.config.implementation.clone() {
            self.row(&format!("IMPLEMENTATION {implementation}"));
        }
        self.tx.put(b".\r\n");
    }

    /// EXPIRE and LOGIN-DELAY: those of everybody before login, and the user's own behind it.
    fn policies(&mut self) {
        let maildrop = self.maildrop.as_ref();
        let expire = maildrop.and_then(Maildrop::expire).or(self.config.expire);
        let delay = maildrop
            .and_then(Maildrop::login_delay)
            .or(self.config.login_delay);
        let by_user = match maildrop {
            None if self.config.by_user => " USER",
            _ => "",
        };
        match expire {
            None => {}
            Some(Expire::Never) => self.row(&format!("EXPIRE NEVER{by_user}")),
            Some(Expire::Days(days)) => self.row(&format!("EXPIRE {days}{by_user}")),
        }
        if let Some(delay) = delay {
            self.row(&format!("LOGIN-DELAY {}{by_user}", delay.as_secs()));
        }
    }

    /// AUTH alone: the mechanisms, one on a line, for clients older than CAPA.
    pub(super) fn list_mechanisms(&mut self) {
        self.voice.ok(&mut self.tx, Text::Mechanisms);
        for mechanism in self.mechanisms() {
            self.row(mechanism);
        }
        self.tx.put(b".\r\n");
    }

    pub(super) fn lang(&mut self, range: Option<&str>) {
        let config = self.config.clone();
        let Some(range) = range else {
            self.voice.ok(&mut self.tx, Text::Languages);
            for language in &config.languages {
                // RFC 6856 §3.2: a language's name is UTF-8, whatever is spoken.
                put_line(
                    &mut self.tx,
                    &format!("{} {}", language.tag(), language.name()),
                    true,
                );
            }
            return self.tx.put(b".\r\n");
        };
        let Some(language) = Language::find(&config.languages, range) else {
            return self.bad(Text::LanguageUnknown);
        };
        self.voice.speak(language.clone());
        self.voice
            .ok_tagged(&mut self.tx, language.tag(), Text::LanguageChanged);
    }

    pub(super) fn utf8(&mut self) {
        self.is_utf8 = true;
        if let State::Authorization { user } = &mut self.state {
            *user = None;
        }
        self.voice.ok(&mut self.tx, Text::Utf8Mode);
    }

    fn mechanisms(&self) -> Vec<&'static str> {
        let config = &self.config;
        let offers =
            |m: &&Mechanism| config.allows(**m, self.is_tls) && (!m.is_plus() || !self.bindings.is_empty());
        config
            .mechanisms
            .iter()
            .filter(offers)
            .map(|m| m.name())
            .collect()
    }

    fn row(&mut self, text: &str) {
        put_line(&mut self.tx, text, false);
    }
}
