#include "deploy/pki/pki.h"
#include "netmgr/uv/transport.h"
#include "transport_ground.h"

TestSuite(transport_refusal, .timeout = 30);

static void read_pair(const struct ground *g, const char *name, X509 **cert,
                      EVP_PKEY **key)
{
    char file[PATH_BYTES];
    char leaf[64];
    (void)snprintf(leaf, sizeof leaf, "%s.pem", name);
    FILE *f = fopen(path(g, leaf, file), "r");
    cr_assert_not_null(f);
    *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    (void)snprintf(leaf, sizeof leaf, "%s.key", name);
    f = fopen(path(g, leaf, file), "r");
    cr_assert_not_null(f);
    *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
}

static void write_pair(const struct ground *g, const char *name, X509 *cert,
                       EVP_PKEY *key)
{
    char file[PATH_BYTES];
    char leaf[64];
    (void)snprintf(leaf, sizeof leaf, "%s.pem", name);
    FILE *f = fopen(path(g, leaf, file), "w");
    PEM_write_X509(f, cert);
    fclose(f);
    (void)snprintf(leaf, sizeof leaf, "%s.key", name);
    f = fopen(path(g, leaf, file), "w");
    cr_assert_eq(fchmod(fileno(f), 0600), 0);
    PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

/* A certificate that the authority signed, but with something wrong in it. In
 * `san`, %ID stands for the id of the key. */
struct forgery {
    const char *why; /* expected */
    const char *san;
    const char *usage;
    int64_t from_s;
    int64_t to_s;
};

static const char both[] = "serverAuth,clientAuth";

static const struct forgery forgeries[] = {
    {"has expired", "URI:motet://lab/site/%ID", both, -7200, -3600},
    {"is not valid yet", "URI:motet://lab/site/%ID", both, 3600, 7200},
    {"is of the cluster \"bal\", not of \"lab\"", "URI:motet://bal/site/%ID",
     both, -60, 3600},
    {"its key is that of", "URI:motet://lab/site/0123456789abcdef", both, -60,
     3600},
    {"its key is that of", "URI:motet://lab/site/%ID0", both, -60, 3600},
    {"is not one of a site", "URI:motet://lab/operator/%ID", both, -60, 3600},
    {"is not one of a site", "URI:http://lab/site/%ID", both, -60, 3600},
    {"is not one of a site", "URI:motet:///site/%ID", both, -60, 3600},
    {"exactly one alternative name", NULL, both, -60, 3600},
    {"exactly one alternative name", "DNS:lab", both, -60, 3600},
    {"exactly one alternative name",
     "URI:motet://lab/site/%ID,URI:motet://lab/site/%ID", both, -60, 3600},
    {"exactly one alternative name", "URI:motet://lab/site/%ID,DNS:lab", both,
     -60, 3600},
    {"not for both", "URI:motet://lab/site/%ID", "clientAuth", -60, 3600},
    {"not for both", "URI:motet://lab/site/%ID", "serverAuth", -60, 3600},
    {"not for both", "URI:motet://lab/site/%ID", NULL, -60, 3600},
};

static X509 *forge(const struct ground *g, const struct forgery *f,
                   EVP_PKEY *key)
{
    X509 *ca;
    EVP_PKEY *ca_key;
    char san[256] = "";
    const char *rest = f->san;
    while (rest != NULL && *rest != '\0') {
        size_t n = strlen(san);
        if (strncmp(rest, "%ID", 3) == 0) {
            (void)snprintf(san + n, sizeof san - n, "%016llx",
                           (unsigned long long)x509_key_id(key));
            rest += 3;
        } else {
            san[n] = *rest++;
        }
    }
    read_pair(g, "ca", &ca, &ca_key);
    const struct x509_wish wish = {.cn = "x",
                                   .san = f->san == NULL ? NULL : san,
                                   .usage = f->usage,
                                   .from_s = f->from_s,
                                   .to_s = f->to_s};
    X509 *cert = x509_make(&wish, key, ca, ca_key);
    cr_assert_not_null(cert);
    EVP_PKEY_free(ca_key);
    X509_free(ca);
    return cert;
}

/* A TLS client of our own, that believes everything. */
static SSL *client(const struct ground *g, X509 *cert, EVP_PKEY *key, int fd)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (cert != NULL) {
        cr_assert_eq(SSL_CTX_use_certificate(ctx, cert), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
    }
    (void)g;
    (void)SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\7motet/1", 8);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Turns until b refused; the client must never be let in. */
static void expect_refused(struct ground *g, SSL *ssl, const char *why)
{
    char byte;
    unsigned before = g->b.refusals;
    uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;
    while (g->b.refusals == before && uv_hrtime() < end) {
        if (ssl != NULL && SSL_do_handshake(ssl) == 1) {
            cr_assert(SSL_read(ssl, &byte, 1) <= 0, "%s: welcomed", why);
        }
        uv_run(&g->loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(g->b.refusals, before + 1, "%s: not refused", why);
    cr_assert_not_null(strstr(g->b.why, why), "%s: said: %s", why, g->b.why);
    cr_assert_eq(g->b.ups, 0);
    ERR_clear_error();
}

Test(transport_refusal, forged_certificates)
{
    struct ground g;
    begin(&g);
    open_both(&g);
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        EVP_PKEY *key = x509_new_key();
        X509 *cert = forge(&g, &forgeries[i], key);
        int fd = stranger(&g.b);
        SSL *ssl = client(&g, cert, key, fd);
        expect_refused(&g, ssl, forgeries[i].why);
        SSL_free(ssl);
        close(fd);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    finish(&g);
}

/* The same certificates are refused when they are our own. */
Test(transport_refusal, forged_certificates_of_our_own)
{
    struct ground g;
    char why[256];
    begin(&g);
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        EVP_PKEY *key = x509_new_key();
        X509 *cert = forge(&g, &forgeries[i], key);
        write_pair(&g, "x", cert, key);
        cr_assert_null(open_as(&g, &g.a, "lab", "x", "ca.pem", why));
        cr_assert_not_null(strstr(why, forgeries[i].why), "%s", why);
        cr_assert_not_null(strstr(why, "/x.pem"), "%s", why);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    finish(&g);
}

Test(transport_refusal, no_certificate)
{
    struct ground g;
    begin(&g);
    open_both(&g);
    int fd = stranger(&g.b);
    SSL *ssl = client(&g, NULL, NULL, fd);
    expect_refused(&g, ssl, "shows no certificate");
    SSL_free(ssl);
    close(fd);
    finish(&g);
}

Test(transport_refusal, old_tls_and_other_protocols)
{
    struct ground g;
    X509 *cert;
    EVP_PKEY *key;
    begin(&g);
    open_both(&g);
    read_pair(&g, "a", &cert, &key);
    int fd = stranger(&g.b);
    SSL *ssl = client(&g, cert, key, fd);
    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    expect_refused(&g, ssl, "does not offer TLS 1.3");
    SSL_free(ssl);
    close(fd);

    fd = stranger(&g.b);
    ssl = client(&g, cert, key, fd);
    (void)SSL_set_alpn_protos(ssl, (const unsigned char *)"\7motet/2", 8);
    expect_refused(&g, ssl, "does not offer the protocol motet/1");
    SSL_free(ssl);
    close(fd);

    fd = stranger(&g.b);
    ssl = client(&g, cert, key, fd);
    (void)SSL_set_alpn_protos(ssl, NULL, 0);
    expect_refused(&g, ssl, "does not offer the protocol motet/1");
    SSL_free(ssl);
    close(fd);
    X509_free(cert);
    EVP_PKEY_free(key);
    finish(&g);
}

Test(transport_refusal, strangers)
{
    struct ground g;
    begin(&g);
    g.limits.stranger_ms = 500;
    open_both(&g);

    int fd = stranger(&g.b);
    cr_assert_eq(write(fd, "\x55\xaa\x55\xaa\x55\xaa\x55\xaa", 8), 8);
    expect_refused(&g, NULL, "does not speak TLS");
    close(fd);

    fd = stranger(&g.b);
    cr_assert_eq(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
    expect_refused(&g, NULL, "does not speak TLS");
    close(fd);

    fd = stranger(&g.b);
    expect_refused(&g, NULL, "did not authenticate within 500 ms");
    close(fd);

    fd = stranger(&g.b);
    cr_assert_eq(write(fd, "\x16\x03\x01", 3), 3);
    close(fd);
    expect_refused(&g, NULL, "left before it was authenticated");
    finish(&g);
}

/* A ClientHello that never ends: 60,000 bytes announced, in whole records. */
Test(transport_refusal, too_much_before_authentication)
{
    static char data[5 + 16384] =
        "\x16\x03\x01\x40\x00\x01\x00\xea\x60\x03\x03";
    struct ground g;
    begin(&g);
    open_both(&g);
    int fd = stranger(&g.b);
    cr_assert_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
    expect_refused(&g, NULL, "sent more than 16384 bytes");
    close(fd);
    finish(&g);
}

static void crowd(struct ground *g, unsigned allowed, const char *why)
{
    int fds[80];
    cr_assert(allowed < 80);
    open_both(g);
    for (unsigned i = 0; i < allowed; i++) {
        fds[i] = stranger(&g->b);
    }
    /* All are taken in before the one too many. */
    for (int i = 0; i < 50; i++) {
        uv_run(&g->loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(g->b.refusals, 0, "%s", g->b.why);
    fds[allowed] = stranger(&g->b);
    expect_refused(g, NULL, why);
    for (unsigned i = 0; i <= allowed; i++) {
        close(fds[i]);
    }
    turn_until(g, &g->b.refusals, allowed + 1);
    /* And then there is room again. */
    dial(g, 0, transport_address(g->b.t));
    turn_until(g, &g->a.ups, 1);
    finish(g);
}

Test(transport_refusal, sixty_five_strangers)
{
    struct ground g;
    begin(&g);
    crowd(&g, 64, "64 others are not yet authenticated");
}

Test(transport_refusal, too_many_from_one_address)
{
    struct ground g;
    begin(&g);
    g.limits.strangers_loopback = 4;
    crowd(&g, 4, "4 others from its address");
}

Test(transport_refusal, too_many_connections)
{
    struct ground g;
    begin(&g);
    g.limits.conns = 2;
    crowd(&g, 2, "too many connections");
}

/* One report a second for each cause, with a count of the others. */
Test(transport_refusal, reports_are_limited)
{
    struct ground g;
    begin(&g);
    g.limits.refusal_ms = 300;
    open_both(&g);
    const char *said[] = {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"};
    int fds[6];
    for (size_t i = 0; i < 5; i++) {
        fds[i] = stranger(&g.b);
        cr_assert_eq(write(fds[i], said[0], 18), 18);
    }
    turn_until(&g, &g.b.refusals, 1);
    /* Each sees its end: then all five were judged. */
    for (size_t i = 0; i < 5; i++) {
        char byte;
        while (read(fds[i], &byte, 1) < 0 && errno == EAGAIN) {
            uv_run(&g.loop, UV_RUN_NOWAIT);
        }
    }
    for (int i = 0; i < 10; i++) {
        uv_run(&g.loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(g.b.refusals, 1);
    cr_assert_eq(g.b.suppressed, 0);
    uint64_t end = uv_hrtime() + 400000000;
    g.late = false;
    while (uv_hrtime() < end) {
        uv_timer_start(&g.timer, on_late, 20, 0);
        uv_run(&g.loop, UV_RUN_ONCE);
    }
    fds[5] = stranger(&g.b);
    cr_assert_eq(write(fds[5], said[1], 18), 18);
    turn_until(&g, &g.b.refusals, 2);
    cr_assert_eq(g.b.suppressed, 4);
    for (size_t i = 0; i < 6; i++) {
        close(fds[i]);
    }
    finish(&g);
}

/* -- between two sites ----------------------------------------------------- */

/* A second authority for the same cluster name, beside the first. */
static void other_authority(struct ground *g, char *dir)
{
    char why[256];
    (void)snprintf(dir, PATH_BYTES, "%.100s/other", g->dir);
    cr_assert(pki_make_authority(dir, "lab", 30, why, sizeof why), "%s", why);
    cr_assert(pki_issue(dir, "lab", "c", PKI_SITE, 7, why, sizeof why), "%s",
              why);
}

Test(transport_refusal, another_authority)
{
    struct ground g;
    char dir[PATH_BYTES];
    char why[256];
    begin(&g);
    other_authority(&g, dir);
    cr_assert_not_null(open_as(&g, &g.a, "lab", "other/c", "other/ca.pem", why),
                       "%s", why);
    cr_assert_not_null(open_as(&g, &g.b, "lab", "b", "ca.pem", why));
    dial(&g, 0, transport_address(g.b.t));
    turn_until(&g, &g.a.fails, 1);
    cr_assert_not_null(
        strstr(g.a.why, "is not signed by this cluster's authority"), "%s",
        g.a.why);
    turn_until(&g, &g.b.refusals, 1);
    cr_assert_not_null(strstr(g.b.why, "refused our certificate"), "%s",
                       g.b.why);
    cr_assert_eq(g.a.ups + g.b.ups, 0);
    finish(&g);
}

/* a believes b, but b does not believe a: a must not think that it is in. */
Test(transport_refusal, only_the_acceptor_refuses)
{
    struct ground g;
    char dir[PATH_BYTES];
    char command[4 * PATH_BYTES];
    char why[256];
    begin(&g);
    other_authority(&g, dir);
    (void)snprintf(command, sizeof command, "cat %s/ca.pem %s/ca.pem >%s/2.pem",
                   dir, g.dir, g.dir);
    cr_assert_eq(system(command), 0);
    cr_assert_not_null(open_as(&g, &g.a, "lab", "other/c", "2.pem", why), "%s",
                       why);
    cr_assert_not_null(open_as(&g, &g.b, "lab", "b", "ca.pem", why));
    dial(&g, 0, transport_address(g.b.t));
    turn_until(&g, &g.a.fails, 1);
    turn_until(&g, &g.b.refusals, 1);
    cr_assert_not_null(strstr(g.a.why, "refused our certificate"), "%s",
                       g.a.why);
    cr_assert_not_null(
        strstr(g.b.why, "is not signed by this cluster's authority"), "%s",
        g.b.why);
    cr_assert_eq(g.a.ups + g.b.ups, 0);
    finish(&g);
}

Test(transport_refusal, another_site_than_expected)
{
    struct ground g;
    begin(&g);
    open_both(&g);
    dial(&g, transport_site(g.a.t), transport_address(g.b.t));
    turn_until(&g, &g.a.fails, 1);
    cr_assert_not_null(strstr(g.a.why, "its certificate is that of site"), "%s",
                       g.a.why);
    cr_assert_eq(g.a.ups + g.b.ups, 0);
    finish(&g);
}
