#include <poll.h>

#include "deploy/pki/pki.h"
#include "netmgr/uv/transport.h"
#include "transport_ground.h"

TestSuite(transport, .timeout = 30);

enum { MIB = 1048576 };

/* -- opening --------------------------------------------------------------- */

static void expect_closed(struct ground *g, const char *cluster,
                          const char *name, const char *ca, const char *says)
{
    char why[256] = "";
    struct end e = {0};
    cr_assert_null(open_as(g, &e, cluster, name, ca, why), "%s", says);
    cr_assert_not_null(strstr(why, says), "%s: said: %s", says, why);
}

Test(transport, does_not_open_with_bad_files)
{
    struct ground g;
    char file[PATH_BYTES];
    begin(&g);
    expect_closed(&g, "lab", "a", "none.pem", "none.pem: No such file");
    expect_closed(&g, "lab", "none", "ca.pem", "none.pem: No such file");
    expect_closed(&g, "lab", "a", "a.key", "holds no certificate");
    expect_closed(&g, "lab", "a", "b.pem", "is not signed by");
    expect_closed(&g, "bal", "a", "ca.pem", "is of the cluster \"lab\"");
    cr_assert_eq(chmod(path(&g, "a.key", file), 0644), 0);
    expect_closed(&g, "lab", "a", "ca.pem",
                  "a.key readable by others (mode 0644): chmod 600");
    cr_assert_eq(unlink(file), 0);
    expect_closed(&g, "lab", "a", "ca.pem", "a.key: No such file");
    char other[PATH_BYTES];
    cr_assert_eq(link(path(&g, "b.key", other), file), 0);
    expect_closed(&g, "lab", "a", "ca.pem", "is not the key of");
    finish(&g);
}

Test(transport, does_not_open_on_bad_addresses)
{
    static const char *const bad[] = {
        "",        "7117",      ":7117",        "a:",
        "a:65536", "a:1x",      "::1:7117",     "[::1]",
        "[]:7117", "[::1]7117", "127.0.0.1:-1", "127.0.0.1:999999"};
    struct ground g;
    char why[256];
    begin(&g);
    struct transport_config cfg = {
        .loop = &g.loop, .cluster = "lab", .insecure = true};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cfg.listen = bad[i];
        cr_assert_null(transport_open(&cfg, why, sizeof why), "%s", bad[i]);
        cr_assert_not_null(strstr(why, "is no address"), "%s: %s", bad[i], why);
    }
    cfg.listen = "192.0.2.1:7117";
    cr_assert_null(transport_open(&cfg, why, sizeof why));
    cr_assert_not_null(strstr(why, "no address of this machine"), "%s", why);
    open_both(&g);
    cfg.listen = transport_address(g.a.t);
    cr_assert_null(transport_open(&cfg, why, sizeof why));
    cr_assert_not_null(strstr(why, "is another site running there?"), "%s",
                       why);
    finish(&g);
}

/* -- dialling -------------------------------------------------------------- */

Test(transport, dials_that_fail)
{
    static const struct {
        const char *addr;
        const char *says;
    } lines[] = {
        {"127.0.0.1", "is no address"},
        {"127.0.0.1:1", "connection refused"},
        {"localhost:1", "connection refused"},
        {"no.such.name.invalid:7117", "cannot find the address"},
    };
    struct ground g;
    begin(&g);
    open_both(&g);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        dial(&g, 0, lines[i].addr);
        turn_until(&g, &g.a.fails, (unsigned)i + 1);
        cr_assert_eq(g.a.dial, 77);
        cr_assert_not_null(strstr(g.a.why, lines[i].says), "%s: %s",
                           lines[i].addr, g.a.why);
    }
    finish(&g);
}

Test(transport, a_silent_acceptor)
{
    struct ground g;
    char addr[32];
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    begin(&g);
    g.limits.dial_ms = 100;
    open_both(&g);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, size), 0);
    cr_assert_eq(listen(fd, 5), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", ntohs(in.sin_port));
    dial(&g, 0, addr);
    turn_until(&g, &g.a.fails, 1);
    cr_assert_not_null(strstr(g.a.why, "no answer within 100 ms"), "%s",
                       g.a.why);
    close(fd);
    finish(&g);
}

Test(transport, meets_by_name)
{
    struct ground g;
    char addr[32];
    begin(&g);
    open_both(&g);
    (void)snprintf(addr, sizeof addr, "localhost%s",
                   strrchr(transport_address(g.b.t), ':'));
    dial(&g, 0, addr);
    turn_until(&g, &g.a.ups, 1);
    turn_until(&g, &g.b.ups, 1);
    cr_assert_eq(g.a.dial, 77);
    cr_assert_eq(g.b.dial, 0);
    cr_assert_eq(g.a.peer, transport_site(g.b.t));
    cr_assert_eq(g.b.peer, transport_site(g.a.t));
    char file[PATH_BYTES];
    char why[256];
    cr_assert_eq(transport_site_of(path(&g, "a.pem", file), why, sizeof why),
                 g.b.peer);
    cr_assert_eq(transport_site_of(path(&g, "a.key", file), why, sizeof why),
                 0);
    finish(&g);
}

/* -- bytes ----------------------------------------------------------------- */

static void echo(bool insecure)
{
    struct ground g;
    begin(&g);
    g.insecure = insecure;
    g.b.echo = true;
    meet(&g);
    cr_assert_eq(g.a.peer == 0, insecure);
    send_pattern(&g.a, 0, 10 * MIB);
    turn_until_size(&g, &g.a.received, 10 * MIB);
    turn_until_size(&g, &g.a.drained, 10 * MIB);
    turn_until_size(&g, &g.b.drained, 10 * MIB);
    cr_assert_eq(g.a.wrong + g.b.wrong, 0);
    cr_assert_eq(g.a.drained, 10 * MIB);
    cr_assert_eq(g.b.drained, 10 * MIB);
    finish(&g);
}

Test(transport, echoes_10_mib)
{
    echo(false);
}

Test(transport, echoes_10_mib_insecure)
{
    echo(true);
}

/* Both send at once, and neither waits for the other. */
Test(transport, both_ways_at_once)
{
    struct ground g;
    begin(&g);
    meet(&g);
    send_pattern(&g.a, 0, 10 * MIB);
    send_pattern(&g.b, 0, 10 * MIB);
    turn_until_size(&g, &g.a.received, 10 * MIB);
    turn_until_size(&g, &g.b.received, 10 * MIB);
    cr_assert_eq(g.a.wrong + g.b.wrong, 0);
    finish(&g);
}

Test(transport, many_small_writes)
{
    struct ground g;
    begin(&g);
    meet(&g);
    size_t sent = 0;
    for (size_t i = 0; i < 50000; i++) {
        uint8_t data[64];
        const size_t size = 1 + i % 64;
        for (size_t k = 0; k < size; k++) {
            data[k] = pattern(sent + k);
        }
        transport_write(g.a.t, g.a.conn, data, size);
        sent += size;
        if (i % 1000 == 0) {
            uv_run(&g.loop, UV_RUN_NOWAIT);
        }
        if (i % 7777 == 0) {
            g.a.inside = true;
            transport_flush(g.a.t);
            g.a.inside = false;
        }
    }
    turn_until_size(&g, &g.b.received, sent);
    turn_until_size(&g, &g.a.drained, sent);
    cr_assert_eq(g.b.received, sent);
    cr_assert_eq(g.a.drained, sent);
    cr_assert_eq(g.b.wrong, 0);
    finish(&g);
}

/* -- closing --------------------------------------------------------------- */

static void close_while_writing(bool insecure)
{
    struct ground g;
    begin(&g);
    g.insecure = insecure;
    meet(&g);
    send_pattern(&g.b, 0, MIB); /* on its way when a closes */
    send_pattern(&g.a, 0, 4 * MIB);
    g.a.inside = true;
    transport_close_conn(g.a.t, g.a.conn);
    transport_write(g.a.t, g.a.conn, "ignored", 7);
    transport_close_conn(g.a.t, g.a.conn);
    g.a.inside = false;
    turn_until(&g, &g.b.downs, 1);
    turn_until(&g, &g.a.downs, 1);
    cr_assert_eq(g.b.received, 4 * MIB);
    cr_assert_eq(g.b.wrong, 0);
    transport_write(g.a.t, g.a.conn, "ignored", 7);
    transport_write(g.a.t, 0, "ignored", 7);
    cr_assert_eq(g.a.downs, 1);
    cr_assert_eq(g.b.downs, 1);
    finish(&g);
}

Test(transport, close_while_writing)
{
    close_while_writing(false);
}

Test(transport, close_while_writing_insecure)
{
    close_while_writing(true);
}

/* What the peer sent and nobody read must not turn the end into a reset, which
 * could take back what is still on its way to the peer. */
Test(transport, closes_without_a_reset)
{
    static char data[65536];
    struct ground g;
    begin(&g);
    g.insecure = true;
    open_both(&g);
    int fd = stranger(&g.b);
    turn_until(&g, &g.b.ups, 1);
    cr_assert_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
    send_pattern(&g.b, 0, MIB);
    transport_close_conn(g.b.t, g.b.conn);
    transport_flush(g.b.t);
    size_t got = 0;
    ssize_t n = 1;
    uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;
    while (n != 0 && uv_hrtime() < end) {
        n = read(fd, data, sizeof data);
        cr_assert(n >= 0 || errno == EAGAIN, "%s", strerror(errno));
        got += n > 0 ? (size_t)n : 0;
        /* It talks on until it has heard the end. */
        cr_assert(n == 0 || write(fd, data, 100) == 100 || errno == EAGAIN);
        uv_run(&g.loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(got, MIB);
    close(fd);
    turn_until(&g, &g.b.downs, 1);
    finish(&g);
}

/* The time for authentication is no time for a session. */
Test(transport, stays_up)
{
    struct ground g;
    begin(&g);
    g.limits.stranger_ms = 500;
    g.limits.dial_ms = 500;
    meet(&g);
    g.late = false;
    uv_timer_start(&g.timer, on_late, 700, 0);
    while (!g.late) {
        uv_run(&g.loop, UV_RUN_ONCE);
    }
    cr_assert_eq(g.a.downs + g.b.downs, 0);
    finish(&g);
}

/* Whoever flushes in the midst of a turn, and stopped because so much is under
 * way, is told before the loop sleeps: nothing else might wake it. */
Test(transport, what_was_written_is_told_soon)
{
    struct ground g;
    begin(&g);
    meet(&g);
    turn_until_size(&g, &g.a.drained, g.a.drained);
    while (uv_backend_timeout(&g.loop) == 0) {
        uv_run(&g.loop, UV_RUN_NOWAIT);
    }
    send_pattern(&g.a, 0, 1000);
    transport_flush(g.a.t);
    cr_assert_neq(uv_backend_timeout(&g.loop), 0, "a little can wait");
    send_pattern(&g.a, 1000, MIB / 16);
    transport_flush(g.a.t);
    cr_assert_eq(uv_backend_timeout(&g.loop), 0);
    turn_until_size(&g, &g.b.received, 1000 + MIB / 16);
    finish(&g);
}

/* A peer that reads nothing: the close ends after the linger time; and before
 * that, what is pending has a limit. */
Test(transport, a_peer_that_reads_nothing)
{
    struct ground g;
    begin(&g);
    g.insecure = true;
    g.limits.linger_ms = 100;
    g.limits.pending_bytes = 32 * MIB;
    open_both(&g);
    int fd = stranger(&g.b);
    turn_until(&g, &g.b.ups, 1);
    send_pattern(&g.b, 0, 32 * MIB);
    uv_run(&g.loop, UV_RUN_NOWAIT);
    cr_assert(g.b.drained < 16 * MIB);
    cr_assert_eq(g.b.downs, 0);
    transport_close_conn(g.b.t, g.b.conn);
    turn_until(&g, &g.b.downs, 1);
    close(fd);

    fd = stranger(&g.b);
    turn_until(&g, &g.b.ups, 2);
    send_pattern(&g.b, 0, 32 * MIB);
    send_pattern(&g.b, 0, 1);
    turn_until(&g, &g.b.downs, 2);
    close(fd);
    finish(&g);
}

Test(transport, a_peer_that_vanishes)
{
    struct ground g;
    begin(&g);
    meet(&g);
    send_pattern(&g.a, 0, 10 * MIB);
    uv_run(&g.loop, UV_RUN_NOWAIT);
    g.b.inside = true;
    transport_close(g.b.t);
    g.b.t = NULL;
    turn_until(&g, &g.a.downs, 1);
    cr_assert_eq(g.a.downs, 1);
    finish(&g);
}

static void on_bytes_close(void *ctx, uint64_t conn, const uint8_t *data,
                           size_t size)
{
    struct end *e = ctx;
    (void)conn, (void)data, (void)size;
    cr_assert(!e->inside);
    e->inside = true;
    transport_close(e->t);
}

/* From inside of an event, with more to be told. */
Test(transport, closed_from_an_event)
{
    struct ground g;
    char files[3][PATH_BYTES];
    char why[256];
    begin(&g);
    const struct transport_config cfg = {
        .loop = &g.loop,
        .listen = "127.0.0.1:0",
        .cluster = "lab",
        .ca_file = path(&g, "ca.pem", files[0]),
        .cert_file = path(&g, "b.pem", files[1]),
        .key_file = path(&g, "b.key", files[2]),
        .events = {on_up, on_bytes_close, on_drained, on_down, on_dial_failed,
                   on_refused, NULL},
        .ctx = &g.b};
    cr_assert_not_null(open_as(&g, &g.a, "lab", "a", "ca.pem", why));
    g.b.t = transport_open(&cfg, why, sizeof why);
    cr_assert_not_null(g.b.t, "%s", why);
    dial(&g, 0, transport_address(g.b.t));
    turn_until(&g, &g.a.ups, 1);
    send_pattern(&g.a, 0, MIB);
    turn_until(&g, &g.a.downs, 1);
    g.b.t = NULL;
    finish(&g);
}

/* With a name being resolved, a connection being made, a handshake begun. */
Test(transport, closed_in_the_middle)
{
    struct ground g;
    begin(&g);
    open_both(&g);
    int fd = stranger(&g.b);
    uv_run(&g.loop, UV_RUN_NOWAIT);
    dial(&g, 0, "localhost:1");
    dial(&g, 0, "no.such.name.invalid:7117");
    dial(&g, 0, transport_address(g.b.t));
    finish(&g);
    close(fd);
}

/* -- a detour ---------------------------------------------------------------
 */

/* Listens at the port of an end, on another address of loopback. */
static int relay_at(const struct end *e, const char *host)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int one = 1;
    const char *port = strrchr(transport_address(e->t), ':') + 1;
    in.sin_port = htons((uint16_t)atoi(port));
    cr_assert_eq(inet_pton(AF_INET, host, &in.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    cr_assert_eq(listen(fd, 4), 0);
    return fd;
}

Test(transport, a_detour_is_taken_when_somebody_listens_there)
{
    struct ground g;
    begin(&g);
    g.detour = "127.7.7.7";
    meet(&g); /* nobody listens: directly */
    const int relay = relay_at(&g.b, g.detour);
    transport_drop_direct(g.a.t);
    turn_until(&g, &g.a.downs, 1);
    dial(&g, transport_site(g.b.t), transport_address(g.b.t));
    struct pollfd p = {.fd = relay, .events = POLLIN};
    while (poll(&p, 1, 0) == 0) {
        uv_run(&g.loop, UV_RUN_NOWAIT);
    }
    close(accept(relay, NULL, NULL));
    turn_until(&g, &g.a.fails, 1); /* one that hangs up is not passed by */
    cr_expect_eq(g.b.ups, 1);
    close(relay);
    dial(&g, transport_site(g.b.t), transport_address(g.b.t));
    turn_until(&g, &g.a.ups, 2);
    finish(&g);
}

Test(transport, without_a_detour_nothing_is_dropped)
{
    struct ground g;
    begin(&g);
    meet(&g);
    transport_drop_direct(g.a.t);
    send_pattern(&g.a, 0, 10);
    turn_until_size(&g, &g.b.received, 10);
    cr_expect_eq(g.a.downs, 0);
    finish(&g);
}

/* -- certificates that change ---------------------------------------------- */

Test(transport, reloads)
{
    struct ground g;
    char why[256];
    char file[PATH_BYTES];
    char other[PATH_BYTES];
    begin(&g);
    meet(&g);
    cr_assert(pki_renew(g.dir, "lab", "b", PKI_SITE, 3, why, sizeof why), "%s",
              why);
    cr_assert(transport_reload(g.b.t, why, sizeof why), "%s", why);
    cr_assert_eq(unlink(path(&g, "b.pem", file)), 0);
    cr_assert(!transport_reload(g.b.t, why, sizeof why));
    cr_assert_not_null(strstr(why, "b.pem: No such file"), "%s", why);
    cr_assert_eq(link(path(&g, "a.pem", other), file), 0);
    cr_assert_eq(unlink(path(&g, "b.key", file)), 0);
    cr_assert_eq(link(path(&g, "a.key", other), file), 0);
    cr_assert(!transport_reload(g.b.t, why, sizeof why));
    cr_assert_not_null(strstr(why, "another site"), "%s", why);
    /* The last good ones are still in use, and the session never ended. */
    dial(&g, transport_site(g.b.t), transport_address(g.b.t));
    turn_until(&g, &g.a.ups, 2);
    cr_assert_eq(g.a.downs + g.b.downs, 0);
    finish(&g);
}
