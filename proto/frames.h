#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* The contents of each kind of frame, after the prefix. Sizes in bytes. */
enum {
    FRAMES_DATA_SIZE = 24,
    FRAMES_EXTENSION_SIZE = 48, /* of DATA, when flagged */
    FRAMES_BIND_SIZE = 88,
    FRAMES_UNBOUND_SIZE = 4,
    FRAMES_ACK_SIZE = 28,
    FRAMES_MOVED_SIZE = 32,
    FRAMES_PING_SIZE = 8,
};

/* The flags byte of the prefix. DATA has those of enum net_data_flag besides,
 * ACK has those of enum net_ack_flag and no others. */
enum {
    FRAMES_DATA_EXTENDED = 1 << 7,
    FRAMES_DATA_FLAGS =
        NET_DATA_MORE | NET_DATA_VOID | NET_DATA_ASK | FRAMES_DATA_EXTENDED,
    FRAMES_BIND_RETURNING = 1 << 0,
    FRAMES_BIND_RESUME = 1 << 1,
    FRAMES_BIND_FLAGS = FRAMES_BIND_RETURNING | FRAMES_BIND_RESUME,
    FRAMES_ACK_FLAGS = NET_ACK_REWIND | NET_ACK_REFUSED | NET_ACK_GONE,
};

/* What is left of a frame when its prefix was read and found good. */
struct frame_in {
    struct wire_arena *arena;
    uint8_t flags;
    struct reader r; /* over exactly the contents */
};

/* Of each kind that has them: size of the contents, flags, writing and reading
 * the contents. Reading answers whether the fields are good; that the contents
 * were neither too short nor too long is asked of the reader afterwards. */
uint32_t frames_data_size(const struct net_frame *f);
uint8_t frames_data_flags(const struct net_frame *f);
void frames_put_data(const struct net_frame *f, struct writer *w);
bool frames_get_data(struct frame_in *in, struct net_frame *f);

uint8_t frames_bind_flags(const struct net_frame *f);
void frames_put_bind(const struct net_frame *f, struct writer *w);
bool frames_get_bind(struct frame_in *in, struct net_frame *f);

void frames_put_unbound(const struct net_frame *f, struct writer *w);
bool frames_get_unbound(struct frame_in *in, struct net_frame *f);

uint8_t frames_ack_flags(const struct net_frame *f);
void frames_put_ack(const struct net_frame *f, struct writer *w);
bool frames_get_ack(struct frame_in *in, struct net_frame *f);

void frames_put_moved(const struct net_frame *f, struct writer *w);
bool frames_get_moved(struct frame_in *in, struct net_frame *f);

void frames_put_ping(const struct net_frame *f, struct writer *w);
bool frames_get_ping(struct frame_in *in, struct net_frame *f);

uint32_t frames_ctl_size(const struct net_frame *f);
void frames_put_ctl(const struct net_frame *f, struct writer *w);
bool frames_get_ctl(struct frame_in *in, struct net_frame *f);

#endif
