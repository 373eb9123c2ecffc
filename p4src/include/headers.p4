// What travels on the wire and to the controller, and what a packet carries through the pipeline.
#ifndef UMBRA_HEADERS
#define UMBRA_HEADERS

// Controller → switch. A scan packet recirculates with its own progress inside, so that no metadata must be preserved.
@controller_header("packet_out")
header packet_out_t {
    bit<7>  pad;
    port_t  egress_port;
    bit<8>  kind;
    bit<32> cursor;       // next index to look at
    bit<32> limit;        // first index not to look at
    bit<32> live;         // connections found alive so far
    bit<32> expired;      // connections expired so far
    bit<8>  pad_now;
    tick_t  now;          // filled in by the first pass: a recirculated packet has no timestamp of its own
    bit<8>  way;          // first way of the index at `cursor` that is not done yet
    bit<8>  mode;         // of a scan
    bit<16> session;      // clone session that gets a scan's records; multicast group of a burst of probes; 0 = none
    bit<16> origins;      // which entries a scan is about, one bit for each value of `replica of`
    bit<8>  generation;   // that a sweep leaves
    bit<8>  owner;        // number of the primary to which a scan disowns
    bit<32> sent;         // records sent, or entries swept or disowned, so far
}

// Switch → controller.
@controller_header("packet_in")
header packet_in_t {
    bit<7>  pad;
    port_t  ingress_port;
    bit<8>  reason;
    bit<32> cursor;
    bit<32> live;
    bit<32> expired;
    bit<32> sent;
}

header ethernet_t {
    mac_t   dst;
    mac_t   src;
    bit<16> type;
}

header mpls_t {
    bit<20> label;
    bit<3>  traffic_class;
    bit<1>  bottom;
    bit<8>  ttl;
}

header arp_t {            // IPv4 over Ethernet only (RFC 826)
    bit<16> hardware;
    bit<16> protocol;
    bit<8>  hardware_len;
    bit<8>  protocol_len;
    bit<16> operation;
    mac_t   sender_mac;
    ipv4_t  sender_ip;
    mac_t   target_mac;
    ipv4_t  target_ip;
}

header ipv4_h {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<3>  flags;
    bit<13> fragment_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    ipv4_t  src;
    ipv4_t  dst;
}

header ipv4_options_t {
    varbit<320> options;
}

header tcp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<4>  data_offset;
    bit<4>  reserved;
    bit<8>  flags;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent;
}

header udp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

header icmp_t {
    bit<8>  type;
    bit<8>  code;
    bit<16> checksum;
    bit<32> rest;
}

// A replica record: the header, and only those fields that it says.
header record_t {
    bit<4>    version;
    bit<4>    kind;
    bit<24>   sequence;
    bit<4>    fields;
    bit<4>    state;
    service_t service;
    label_t   origin;
    bit<32>   signature;
}
header record_binding_t { label_t binding; }
header record_bytes_t   { bit<40> bytes; }
header record_age_t     { tick_t age; }
header record_tuple_t {
    ipv4_t  client;
    ipv4_t  address;
    bit<8>  protocol;
    bit<16> client_port;
    bit<16> service_port;
}

// A probe goes to a node by one label and back by a second (RFC 8403). Times in microseconds of its sender.
header probe_t {
    bit<32> id;
    bit<8>  flags;
    bit<16> copy;         // of a burst: 1, 2, ...
    bit<48> sent;
    bit<48> received;
    bit<32> count;        // of quiet probes since the last report
    bit<32> sum;          // of their round trips
    bit<32> longest;
}

struct headers_t {
    packet_out_t   packet_out;
    packet_in_t    packet_in;
    ethernet_t     ethernet;
    mpls_t         mpls;
    mpls_t         mpls_inner;
    arp_t          arp;
    ipv4_h         ipv4;
    ipv4_options_t ipv4_options;
    tcp_t          tcp;
    udp_t          udp;
    icmp_t         icmp_error;
    ipv4_h         ipv4_inner;     // quoted by the error
    record_t         record;
    record_binding_t record_binding;
    record_bytes_t   record_bytes;
    record_age_t     record_age;
    record_tuple_t   record_tuple;
    probe_t          probe;
}

// What the controller says of this node (table `node`).
struct node_t {
    mac_t   mac;
    label_t label;
    bit<16> index_mask;        // table entries per way − 1
    bit<32> capacity;          // connections; 0 = no limit
    tick_t  established_idle;
    tick_t  datagram_idle;
    tick_t  opening_idle;
    tick_t  linger;            // how long a closed connection's binding is kept
    bit<32> sample_mask;       // a new connection is reported when (its number & mask) == 0
    tick_t  refresh_mask;      // ones above the bits of the refresh period
    bit<1>  replicate;         // this node has shadows
    bit<1>  translate;         // this node does NAT
}

// Where an entry is, or could be.
struct place_t {
    bit<2>  way;
    bit<32> index;
}

struct metadata_t {
    node_t     node;
    label_t    label;          // where to, in labels; 0 = none
    bit<1>     done;           // nothing is left to decide
    bit<1>     is_reset;       // the packet became the reset that refuses a connection
    bit<1>     reversed;       // travels from the service to the client
    bit<1>     opens;          // may open a connection
    bit<1>     recirculate;
    bit<1>     probing;        // goes the way of a connection's packet, but leaves no mark
    bit<4>     number;         // of the primary that a record comes from
    bit<4>     generation;     // of its replicas
    service_t  service;
    slot_set_t slot_set;
    label_t    binding;
    bit<32>    signature;
    bit<32>    choice;
    @field_list(1) ipv4_t  client;
    @field_list(1) ipv4_t  address;        // of the service
    @field_list(1) bit<8>  protocol;
    @field_list(1) bit<16> client_port;
    @field_list(1) bit<16> service_port;
    // The record to send, carried by a clone.
    bit<16>                  record_session;
    @field_list(1) bit<4>    record_kind;
    @field_list(1) bit<24>   record_sequence;
    @field_list(1) bit<4>    record_state;
    @field_list(1) service_t record_service;
    @field_list(1) label_t   record_origin;
    @field_list(1) bit<32>   record_signature;
    @field_list(1) label_t   record_binding;
    @field_list(1) bit<40>   record_bytes;
    @field_list(1) tick_t    record_age;
}

// A sampled new connection.
struct connection_t {
    ipv4_t    client;
    ipv4_t    address;
    bit<16>   client_port;
    bit<16>   service_port;
    bit<8>    protocol;
    service_t service;
    label_t   binding;
}

#endif
