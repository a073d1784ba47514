//! The strict fake keeps every rule, in each of its moods.

use keyward_conformance::strict::StrictFake;

mod plain {
    use super::StrictFake;
    keyward_conformance::suite!(StrictFake::default());
}

mod seen_from_a_host {
    use super::StrictFake;
    use keyward_conformance::strict::Host;
    keyward_conformance::suite!(Host::steady("a").wrap(StrictFake::default()));
}

mod deferring {
    use super::StrictFake;
    keyward_conformance::suite!(StrictFake::default().deferring());
}

mod without_audit {
    use super::StrictFake;
    keyward_conformance::suite!(StrictFake::default().without_audit());
}

mod in_short_pages {
    use super::StrictFake;
    keyward_conformance::suite!(StrictFake::default().short_pages());
}
