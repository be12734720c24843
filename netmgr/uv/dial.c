#include <stdio.h>
#include <string.h>

#include "conn.h"

static void on_connected(uv_connect_t *connect, int status)
{
    struct conn *c = connect->data;
    if (c->state == CONN_CLOSED || status == UV_ECANCELED) {
        return;
    }
    if (status < 0) {
        dial_next(c, status);
        return;
    }
    conn_begin(c);
}

static void connect_to(struct conn *c, const struct sockaddr *sa)
{
    c->state = CONN_CONNECTING;
    c->connect.data = c;
    int err = uv_tcp_connect(&c->connect, &c->tcp, sa, on_connected);
    if (err < 0) {
        dial_next(c, err);
    }
}

/* A socket that failed to connect is of no more use: a new one. */
static void on_reopen(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (c->state == CONN_CLOSED) {
        conn_on_closed(handle);
        return;
    }
    CHECK(uv_tcp_init(c->t->loop, &c->tcp) == 0);
    c->tcp.data = c;
    if (c->on_detour) {
        c->on_detour = false;
        connect_to(c, (const struct sockaddr *)&c->direct);
        return;
    }
    const struct addrinfo *to = c->next;
    c->next = to->ai_next;
    connect_to(c, to->ai_addr);
}

void dial_next(struct conn *c, int err)
{
    const bool direct = c->on_detour && err == UV_ECONNREFUSED;
    if (c->next == NULL && !direct) {
        conn_fail(c, CAUSE_OTHER, "cannot connect to %.150s: %s", c->addr,
                  uv_strerror(err));
        return;
    }
    uv_close((uv_handle_t *)&c->tcp, on_reopen);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
                        struct addrinfo *found)
{
    struct conn *c = req->data;
    c->found = found;
    if (c->state == CONN_CLOSED) {
        conn_unref(c);
        return;
    }
    if (status < 0) {
        conn_fail(c, CAUSE_OTHER, "cannot find the address of %.100s: %s",
                  c->addr, uv_strerror(status));
    } else {
        c->next = found->ai_next;
        connect_to(c, found->ai_addr);
    }
    conn_unref(c);
}

static void resolve(struct conn *c, const struct address_name *name)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    c->resolve.data = c;
    int err = uv_getaddrinfo(c->t->loop, &c->resolve, on_resolved, name->host,
                             name->port, &hints);
    if (err < 0) {
        conn_fail(c, CAUSE_OTHER, "cannot find the address of %.100s: %s",
                  c->addr, uv_strerror(err));
        return;
    }
    c->refs++;
}

/* To a numeric address: by the detour, if there is one. */
static void connect_first(struct conn *c, const struct sockaddr_storage *sa)
{
    struct sockaddr_in via;
    if (sa->ss_family != AF_INET || c->t->detour.s_addr == 0) {
        connect_to(c, (const struct sockaddr *)sa);
        return;
    }
    memcpy(&via, sa, sizeof via);
    c->direct = via;
    c->on_detour = true;
    via.sin_addr = c->t->detour;
    connect_to(c, (const struct sockaddr *)&via);
}

void dial_start(struct conn *c, const char *addr)
{
    char why[TLS_WHY_MAX];
    struct address_name name;
    struct sockaddr_storage sa;
    (void)snprintf(c->addr, sizeof c->addr, "%s", addr);
    c->state = CONN_RESOLVING;
    if (!address_split(addr, &name, why, sizeof why)) {
        conn_fail(c, CAUSE_OTHER, "%s", why);
    } else if (address_numeric(&name, &sa)) {
        connect_first(c, &sa);
    } else {
        resolve(c, &name);
    }
}
