// What a node remembers and counts. Shared by connections.p4 and scan.p4, therefore outside any control.
//
// A connection is one packed word, so that a hit costs one register read and one write:
//   [127:96] signature   CRC-32 of the 5-tuple
//   [95:80]  binding     what was chosen for it: the label of a router (edge) or of a backend (router)
//   [79:72]  service
//   [71:68]  state
//   [67:64]  replica of: the number of the primary that carries it; 0 = this node itself
//   [63:40]  last seen, in ticks
//   [39:36]  generation of a replica: what a resync has not refreshed can be told
//   [35:0]   bytes from the client
// Four ways, indexed by different parts of the signature, so that an entry alone says where it belongs on any node. With two ways, a quarter full, one connection in a hundred finds no
// place and goes by the stateless choice, which a shift moves; with four it is one in ten million.
@name(".connections_0") register<entry_t>(MAX_ENTRIES) connections_0;
@name(".connections_1") register<entry_t>(MAX_ENTRIES) connections_1;
@name(".connections_2") register<entry_t>(MAX_ENTRIES) connections_2;
@name(".connections_3") register<entry_t>(MAX_ENTRIES) connections_3;
@name(".live") register<bit<32>>(1) live_connections;           // opened − closed − expired
@name(".openings") register<bit<32>>(MAX_SLOT_SETS) openings;   // new connections so far, per slot set

@name(".sequence") register<bit<32>>(1) sequence;               // of the next record
@name(".expected") register<bit<32>>(MAX_PRIMARIES) expected;   // of the next record from each primary
@name(".probes") register<bit<32>>(3) probes;                   // quiet ones: count, sum and longest of their round trips

@name(".services_opened")  counter(MAX_SERVICES, CounterType.packets) services_opened;
@name(".services_closed")  counter(MAX_SERVICES, CounterType.packets) services_closed;
@name(".services_expired") counter(MAX_SERVICES, CounterType.packets) services_expired;
@name(".services_refused") counter(MAX_SERVICES, CounterType.packets) services_refused;
@name(".services_unbound") counter(MAX_SERVICES, CounterType.packets) services_unbound;  // went by the stateless choice
@name(".services_adopted") counter(MAX_SERVICES, CounterType.packets) services_adopted;   // taken over from a primary
@name(".services_released") counter(MAX_SERVICES, CounterType.packets) services_released; // now carried by another node
@name(".records_sent") counter(16, CounterType.packets) records_sent;                     // by kind
@name(".records_received") counter(MAX_PRIMARIES * 8, CounterType.packets) records_received;
@name(".bindings_opened")  counter(MAX_LABELS, CounterType.packets) bindings_opened;
@name(".drops") counter(DROP_REASONS, CounterType.packets) drops;

#define SIGNATURE(e)  (e)[127:96]
#define BINDING(e)    (e)[95:80]
#define SERVICE(e)    (e)[79:72]
#define STATE(e)      (e)[71:68]
#define REPLICA_OF(e) (e)[67:64]
#define LAST_SEEN(e)  (e)[63:40]
#define GENERATION(e) (e)[39:36]
#define BYTES(e)      (e)[35:0]

// May this entry be used again: is it free, or past its time? 24-bit subtraction: the clock wraps every 12.7 days. An age in
// the upper half is no age: the packet came after a scan had noted its time. Time-outs are therefore below 3.1 days: a
// replica, which hears of its connection's packets only now and then, waits twice as long.
control Aging(in entry_t entry, in node_t node, in tick_t now, out bool past) {
    apply {
        tick_t limit = node.established_idle;
        if (STATE(entry) == CLOSING) {
            limit = node.linger;
        } else if (STATE(entry) == OPENING) {
            limit = node.opening_idle;
        } else if (STATE(entry) == DATAGRAM) {
            limit = node.datagram_idle;
        }
        if (REPLICA_OF(entry) != 0) { limit = limit << 1; }
        tick_t age = now - LAST_SEEN(entry);
        past = STATE(entry) == FREE || (age > limit && age < 0x800000);
    }
}

// An owned connection is no longer this node's: `counter` says why.
#define COUNT_GONE(counter, e) \
    bit<32> live; \
    live_connections.read(live, 0); \
    live_connections.write(0, live - 1); \
    counter.count((bit<32>)SERVICE(e));
#define IS_LIVE(e) (STATE(e) != FREE && STATE(e) != CLOSING && REPLICA_OF(e) == 0)
