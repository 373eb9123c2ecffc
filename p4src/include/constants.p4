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
const bit<8>  PROTOCOL_TCP   = 6;
const bit<8>  PROTOCOL_UDP   = 17;
const bit<8>  DEFAULT_TTL    = 64;

// tcp.flags, low six bits (RFC 9293)
const bit<8> TCP_FIN = 0x01;
const bit<8> TCP_SYN = 0x02;
const bit<8> TCP_RST = 0x04;
const bit<8> TCP_ACK = 0x10;

// packet_out.kind
const bit<8> OUT_SEND = 0;     // leave through packet_out.egress_port
const bit<8> OUT_SCAN = 1;     // walk over the connection table

// packet_in.reason
const bit<8> IN_SCAN_DONE = 1;
const bit<8> IN_PUNT      = 2;

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
#define DROP_REASONS 8

#define MAX_PORTS      512
#define MAX_SERVICES   256
#define MAX_LABELS     4096
#define MAX_SLOT_SETS  4096
#define MAX_ENTRIES    65536   // connections per way; the controller chooses how much of it a node uses (index_mask)
#define SLOTS          100

#endif
