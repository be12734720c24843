#include <string.h>

#include "inside.h"

/* A segment of TCP on its way becomes the end of its connection: the bit RST,
 * and a checksum to match (RFC 1624). It has the number that the receiver waits
 * for, so the receiver believes it (RFC 5961). Whoever sent it hears of it when
 * it sends more after that: a RST is not answered. */

enum {
    TYPE_IPV4 = 0x0800,
    PROTO_TCP = 6,
    IP_MIN = 20,
    TCP_MIN = 20,
    FLAG_FIN = 1,
    FLAG_SYN = 2,
    FLAG_RST = 4,
    FLAG_PSH = 8,
    FLAG_URG = 32,
};

static unsigned word_at(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void put_word(uint8_t *p, unsigned word)
{
    p[0] = (uint8_t)(word >> 8);
    p[1] = (uint8_t)word;
}

/* Where its segment begins; 0: it is none, or not the first part of one. */
static size_t segment_of(const uint8_t *bytes, size_t size)
{
    const uint8_t *ip = bytes + FRAME_MIN;

    if (size < FRAME_MIN + IP_MIN || word_at(bytes + 12) != TYPE_IPV4 ||
        ip[0] >> 4 != 4 || ip[9] != PROTO_TCP ||
        (word_at(ip + 6) & 0x1fff) != 0) {
        return 0;
    }
    const size_t at = FRAME_MIN + (size_t)(ip[0] & 15) * 4;
    return size >= at + TCP_MIN ? at : 0;
}

const uint8_t *reset_frame(const uint8_t *bytes, size_t size)
{
    static uint8_t changed[FRAME_MAX];
    const size_t at = segment_of(bytes, size);

    if (at == 0 || size > sizeof changed) {
        return bytes;
    }
    memcpy(changed, bytes, size);
    uint8_t *tcp = changed + at;
    const unsigned before = word_at(tcp + 12);
    const unsigned after =
        (before & ~(unsigned)(FLAG_FIN | FLAG_SYN | FLAG_PSH | FLAG_URG)) |
        FLAG_RST;
    unsigned long sum =
        (~word_at(tcp + 16) & 0xffff) + (~before & 0xffff) + after;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put_word(tcp + 12, after);
    put_word(tcp + 16, (unsigned)(~sum & 0xffff));
    return changed;
}
