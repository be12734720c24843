#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"

/* The descriptor for foreign loops is an epoll of two: the socket, and an
 * eventfd that is set while something that came already waits here. */

static bool waiting(const struct motet *m)
{
    if (!list_empty(&m->events)) {
        return true;
    }
    list_foreach (it, &m->inbox) {
        const struct letter *l = LIST_ENTRY(it, struct letter, link);
        if (l->on->enabled) {
            return true;
        }
    }
    return false;
}

void loop_signal(struct motet *m)
{
    if (m->event_fd < 0) {
        return;
    }
    const bool wanted = waiting(m);
    uint64_t count = 1;
    if (wanted == m->signalled) {
        return;
    }
    const ssize_t done = wanted ? write(m->event_fd, &count, sizeof count)
                                : read(m->event_fd, &count, sizeof count);
    if (done == (ssize_t)sizeof count) {
        m->signalled = wanted;
    }
}

static bool add(int epoll_fd, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

int motet_fd(struct motet *m)
{
    if (m == NULL || m->epoll_fd >= 0) {
        return m != NULL ? m->epoll_fd : -1;
    }
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll_fd < 0 || event_fd < 0 || !add(epoll_fd, m->fd) ||
        !add(epoll_fd, event_fd)) {
        if (epoll_fd >= 0) {
            close(epoll_fd);
        }
        if (event_fd >= 0) {
            close(event_fd);
        }
        return -1;
    }
    m->epoll_fd = epoll_fd;
    m->event_fd = event_fd;
    loop_signal(m);
    return epoll_fd;
}

enum motet_err motet_dispatch(struct motet *m)
{
    if (m == NULL) {
        return MOTET_E_INVALID;
    }
    /* At most one packet for each receive and as many events: a site that
     * talks without end does not hold the program. */
    for (unsigned i = 0; i < 2 * PREFETCH_MAX; i++) {
        const enum motet_err err = stream_read(m, 0);
        if (err != MOTET_OK) {
            loop_signal(m);
            return err == MOTET_E_TIMEOUT ? MOTET_OK : err;
        }
    }
    loop_signal(m);
    return MOTET_OK;
}
