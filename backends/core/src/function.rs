//! What a key is for, and the names of services that load keys.

use crate::name::name_type;

name_type!(
    /// What a key is for. Well-known functions have constants; any valid name is one.
    ///
    /// ```
    /// use keyward_core::Function;
    /// assert_eq!("payments".parse::<Function>()?, Function::PAYMENTS);
    /// # Ok::<(), keyward_core::NameError>(())
    /// ```
    Function, "function", 32, {
        /// Charging and paying out. A payment key is test or live and names its endpoints.
        PAYMENTS = "payments";
        /// E-mail, SMS, push.
        MESSAGING = "messaging";
        /// Measuring and reporting.
        ANALYTICS = "analytics";
        /// Checking the signature of incoming calls. Carries no permission of its own.
        WEBHOOK = "webhook";
        /// Managing other keys. Never shares a key with another function.
        MANAGEMENT = "management";
    }
);
name_type!(
    /// The last part of a key id: 1 to 64 bytes of `a-z`, `0-9` and inner hyphens.
    KeyName, "name", 64
);
name_type!(
    /// A process or a group of processes that loads keys, such as `billing-api`.
    ServiceName, "service", 64
);
name_type!(
    /// The registered name of an issuer, such as `acme`.
    IssuerName, "issuer", 64
);
