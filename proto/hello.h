#ifndef HELLO_H
#define HELLO_H

#include "frames.h"

/* HELLO and REFUSE: protobuf; otherwise as in frames.h. */
uint32_t hello_size(const struct net_frame *f);
void hello_put(const struct net_frame *f, struct writer *w);
bool hello_get(struct frame_in *in, struct net_frame *f);

uint32_t refuse_size(const struct net_frame *f);
void refuse_put(const struct net_frame *f, struct writer *w);
bool refuse_get(struct frame_in *in, struct net_frame *f);

#endif
