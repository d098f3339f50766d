//! What a node takes: sizes that may not grow unnoticed, the stack that creating one takes, and that it can be moved to
//! another thread.

use bep44_core::{
    Capacity, Config, Contact, Event, Instant, ItemSlot, MicroMemory, Node, Outcome, PeerSlot, QuerySlot, Storage,
    TinyMemory, Transaction,
};
use bep44_tests::script::{Remote, Script, config, place};

#[test]
#[cfg(target_pointer_width = "64")]
fn sizes_are_what_they_were() {
    // Not limits but a record: whoever changes one looks at it once, and writes the new one down.
    assert_eq!(size_of::<Node<'_>>(), 2_536);
    assert_eq!(size_of::<Event<'_>>(), 264);
    assert_eq!(size_of::<Outcome>(), 216);
    assert_eq!(size_of::<QuerySlot>(), 3_272);
    assert_eq!(size_of::<Contact>(), 52);
    assert_eq!(size_of::<Transaction>(), 80);
    assert_eq!(size_of::<ItemSlot>(), 92);
    assert_eq!(size_of::<PeerSlot>(), 88);
    assert_eq!(size_of::<TinyMemory>(), 23_632);
    assert_eq!(size_of::<MicroMemory>(), 7_232);
}

#[test]
fn a_large_node_is_made_and_used_on_a_small_stack() {
    let work = || {
        let config = Config::new([7; 32]);
        let mut node = Node::new(Storage::boxed(&Capacity::server()), &config, Instant::ZERO);
        node.handle_timeout(Instant::from_secs(1));
        assert_eq!((node.items().count(), node.contacts().count()), (0, 0));
    };
    // Debug builds copy what release builds do not.
    std::thread::Builder::new().stack_size(64 * 1_024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_node_with_boxed_memory_can_be_sent_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Node<'static>>();
    is_send::<Storage<'static>>();
    let mut script = Script::with(&Capacity::home(), &config());
    script.befriend(place(1), Remote::new([1; 20]));
    let node = script.node;
    let contacts = std::thread::spawn(move || node.contacts().count()).join().unwrap();
    assert_eq!(contacts, 1);
}
