// Numbers of umbra's data plane: protocol constants, sizes, and the codes that the controller knows by the same names.
#ifndef UMBRA_CONSTANTS
#define UMBRA_CONSTANTS

typedef bit<9>   port_t;
typedef bit<48>  mac_t;
typedef bit<32>  ipv4_t;
typedef bit<16>  label_t;      // a node SID (RFC 8402), carried in the 20-bit MPLS label field (RFC 3032)
typedef bit<8>   service_t;
typedef bit<16>  slot_set_t;
typedef bit<24>  tick_t;       // time in units of 65.536 ms: bits 39..16 of the 48-bit microsecond clock
typedef bit<128> entry_t;      // one packed connection, see connections.p4

const port_t CPU_PORT = 510;

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<16> ETHERTYPE_ARP  = 0x0806;
const bit<16> ETHERTYPE_MPLS = 0x8847;
const bit<8>  PROTOCOL_ICMP  = 1;
const bit<8>  PROTOCOL_TCP   = 6;
const bit<8>  PROTOCOL_UDP   = 17;
const bit<8>  DEFAULT_TTL    = 64;

// What switches of the fabric tell each other travels as UDP between link-local addresses (169.254.<label>, RFC 3927).
const bit<16> LINK_LOCAL  = 0xA9FE;
const bit<16> RECORD_PORT = 50100;
const bit<16> PROBE_PORT  = 50101;
const bit<32> FABRIC_MAC  = 0x02756D62;  // first four bytes; the last two are the label

// tcp.flags, low six bits (RFC 9293)
const bit<8> TCP_FIN = 0x01;
const bit<8> TCP_SYN = 0x02;
const bit<8> TCP_RST = 0x04;
const bit<8> TCP_ACK = 0x10;

// Those types of ICMP messages that quote the packet they are about (RFC 792)
const bit<8> ICMP_UNREACHABLE   = 3;
const bit<8> ICMP_TIME_EXCEEDED = 11;
const bit<8> ICMP_PARAMETER     = 12;

// packet_out.kind
const bit<8> OUT_SEND = 0;     // leave through packet_out.egress_port
const bit<8> OUT_SCAN = 1;     // walk over the connection table
const bit<8> OUT_PROBE = 2;    // stamp this probe and send it by its label

// packet_in.reason
const bit<8> IN_SCAN_DONE = 1;
const bit<8> IN_PUNT      = 2;
const bit<8> IN_PROBE     = 3;  // a probe that this node sent has come back
const bit<8> IN_RECORD    = 4;  // a connection's entry, asked for by the controller

// packet_out.mode of a scan
const bit<8> SCAN_EXPIRE = 0;  // only expire what is idle, which the others do as well
const bit<8> SCAN_FULL   = 1;  // send entries as FULL records
const bit<8> SCAN_GIVE   = 2;  // send entries as GIVE records
const bit<8> SCAN_SWEEP  = 3;  // free replicas of another generation
const bit<8> SCAN_DISOWN = 4;  // what this node owned becomes replicas of who carries it now

// clone sessions: all shadows; the CPU; and one per peer, numbered by its label
const bit<16> ALL_SHADOWS = 1;

// kinds of replica records (docs/replication.md)
const bit<4> RECORD_NONE     = 0;
const bit<4> RECORD_OPEN     = 1;
const bit<4> RECORD_STATE    = 2;
const bit<4> RECORD_CLOSE    = 3;
const bit<4> RECORD_PROGRESS = 4;  // 64 KiB more, or the first packet of a refresh period
const bit<4> RECORD_FULL     = 5;  // from a scan
const bit<4> RECORD_GIVE     = 6;  // from a scan: the connection is the receiver's from now on
const bit<4> RECORD_ADOPT    = 7;  // a shadow carries the connection now
const bit<4> RECORD_VERSION  = 1;
const tick_t AGE_SLACK       = 16; // ages of one connection at two nodes differ by the way of its records: a second

// record.fields: what follows the record's header, in this order
const bit<4> HAS_BINDING = 8;
const bit<4> HAS_BYTES   = 4;
const bit<4> HAS_AGE     = 2;
const bit<4> HAS_TUPLE   = 1;

// what becomes of a record: column of the counter `records_received`, whose rows are the primaries' numbers
const bit<32> RECEIVED_IN_SEQUENCE = 0;
const bit<32> RECEIVED_AFTER_GAP   = 1;
const bit<32> RECEIVED_LATE        = 2;  // a number that was passed already: repeated, overtaken, or its sender began anew
const bit<32> RECEIVED_UNKNOWN     = 3;  // about a connection that is not known here
const bit<32> RECEIVED_NO_PLACE    = 4;
const bit<32> RECEIVED_BY_SCAN     = 5;
const bit<32> RECEIVED_KEPT_OURS   = 6;  // what is known here is fresher
const bit<32> RECEIVED_DAMAGED     = 7;  // the 5-tuple does not give the signature

// probe.flags
const bit<8> PROBE_QUIET   = 1;  // count it when it is back, say nothing
const bit<8> PROBE_COLLECT = 2;  // report what was counted, and begin anew

// states of a connection
const bit<4> FREE        = 0;
const bit<4> OPENING     = 1;  // SYN seen
const bit<4> ESTABLISHED = 2;
const bit<4> CLOSING     = 3;  // FIN or RST seen: counted as closed, the binding still holds for the last packets
const bit<4> DATAGRAM    = 4;  // UDP

// indices of the counter `drops`
const bit<32> DROP_MALFORMED  = 0;
const bit<32> DROP_TTL        = 1;
const bit<32> DROP_UNROUTABLE = 2;
const bit<32> DROP_NO_TARGET  = 3;   // a service whose slot set is empty, or a binding without a label
const bit<32> DROP_NO_LABEL   = 4;
const bit<32> DROP_REFUSED    = 5;   // a datagram beyond capacity (a TCP SYN is answered with a reset instead)
const bit<32> DROP_ARP        = 6;
const bit<32> DROP_UNTRUSTED  = 7;   // a label, record or probe from a port where no switch of the fabric is
const bit<32> DROP_STRANGER   = 8;   // a record of a router that this node is no shadow of
#define DROP_REASONS 16

#define MAX_PORTS      512
#define MAX_SERVICES   256
#define MAX_LABELS     4096
#define MAX_SLOT_SETS  4096
#define MAX_ENTRIES    65536   // connections per way; the controller chooses how much of it a node uses (index_mask)
#define MAX_PRIMARIES  16
#define PACKET_IN_BYTES 19
#define SLOTS          100

#endif
