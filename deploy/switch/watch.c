#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

uint64_t net_now(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;

    w->on_ready(w->ctx, status < 0 ? w->events : events);
}

struct watch *watch_new(struct net *n, int fd,
                        void (*on_ready)(void *ctx, int events), void *ctx)
{
    struct watch *w = calloc(1, sizeof *w);

    CHECK(w != NULL && uv_poll_init(&n->loop, &w->poll, fd) == 0);
    w->poll.data = w;
    w->fd = fd;
    w->on_ready = on_ready;
    w->ctx = ctx;
    return w;
}

void watch_for(struct watch *w, int events)
{
    if (w->events != events) {
        w->events = events;
        CHECK(uv_poll_start(&w->poll, events, on_poll) == 0);
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_free(struct watch *w)
{
    if (w != NULL) {
        int fd = w->fd;
        uv_close((uv_handle_t *)&w->poll, on_closed);
        close(fd);
    }
}

/* ---- Time: libuv's own timers know only milliseconds. ----------------------
 */

static void run_due(struct net *n)
{
    const uint64_t now_ns = net_now();
    struct deadline *d;

    while ((d = deadlines_pop(&n->due, now_ns)) != NULL) {
        switch ((enum due)d->kind) {
        case DUE_FRAME:
            bridge_due(CONTAINER_OF(d, struct frame, due));
            break;
        case DUE_FAULT:
            fault_end(CONTAINER_OF(d, struct named_fault, end));
            break;
        case DUE_PIECE:
            relay_due((struct piece *)(void *)d);
            break;
        case DUE_DATAGRAM:
            datagram_due((struct datagram *)(void *)d);
            break;
        }
    }
}

static void on_time(void *ctx, int events)
{
    struct net *n = ctx;
    uint64_t times;
    ssize_t got = read(n->timer->fd, &times, sizeof times);

    (void)events;
    (void)got;
    run_due(n);
    timer_arm(n);
}

bool timer_start(struct net *n)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    n->timer = watch_new(n, fd, on_time, n);
    watch_for(n->timer, UV_READABLE);
    return true;
}

void timer_arm(struct net *n)
{
    struct itimerspec t = {0};
    const uint64_t at_ns = deadlines_next(&n->due);

    if (n->timer == NULL) {
        return;
    }
    if (at_ns != DEADLINE_NEVER) {
        t.it_value.tv_sec = (time_t)(at_ns / 1000000000);
        t.it_value.tv_nsec = (long)(at_ns % 1000000000);
    }
    CHECK(timerfd_settime(n->timer->fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
}
