/* The floor: what this machine gives to two processes on loopback with plain
 * blocking sockets, and with TLS 1.3 over them. Motet's own figures are divided
 * by these, measured in the same minute. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SIZE_MAX_BYTES = 1048576,
    BATCH_BYTES = 16384, /* of one write when sending one way */
    SECONDS_MAX = 600,
    WARM_UP = 1000,        /* round trips not counted */
    SAMPLES_MAX = 1 << 22, /* round trips whose time is kept */
    CLOCK_EVERY = 64,      /* batches between two looks at the clock */
};

struct options {
    bool send; /* one way */
    bool tls;
    bool two_cpus;
    size_t size;
    double seconds;
};

struct stream {
    int fd;
    SSL *ssl; /* NULL = TCP */
};

struct result {
    uint64_t messages;
    double elapsed_s;
    double cpu_s; /* of both processes */
    double p50_us;
    double p99_us;
};

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *fmt,
                                                                ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "motet-floor: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        const char *tls = ERR_reason_error_string(ERR_peek_error());
        die("%s: %s", what, tls != NULL ? tls : strerror(errno));
    }
}

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_s(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* -- processors ------------------------------------------------------------ */

/* Binds this process to the nth processor that it may use. */
static void pin(size_t nth)
{
    cpu_set_t all;
    cpu_set_t one;
    must(sched_getaffinity(0, sizeof all, &all) == 0, "processors");
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && nth-- == 0) {
            CPU_SET(cpu, &one);
            must(sched_setaffinity(0, sizeof one, &one) == 0, "processors");
            return;
        }
    }
    die("two processors were asked for, but only one may be used");
}

/* -- TLS ------------------------------------------------------------------- */

static SSL_CTX *new_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    must(ctx != NULL &&
             SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
             SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1 &&
             SSL_CTX_set_num_tickets(ctx, 0) == 1,
         "TLS");
    return ctx;
}

/* A key and a certificate signed by itself: the floor needs no identity. */
static void certify(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    must(key != NULL && cert != NULL, "certificate");
    must(X509_set_version(cert, X509_VERSION_3) == 1 &&
             ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL &&
             X509_set_pubkey(cert, key) == 1 &&
             X509_sign(cert, key, EVP_sha256()) > 0 &&
             SSL_CTX_use_certificate(ctx, cert) == 1 &&
             SSL_CTX_use_PrivateKey(ctx, key) == 1,
         "certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void start_tls(struct stream *s, bool server)
{
    SSL_CTX *ctx = new_ctx();
    if (server) {
        certify(ctx);
    }
    s->ssl = SSL_new(ctx);
    must(s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1, "TLS");
    must((server ? SSL_accept(s->ssl) : SSL_connect(s->ssl)) == 1, "TLS");
    SSL_CTX_free(ctx);
}

static void end(struct stream *s)
{
    SSL_free(s->ssl);
    (void)close(s->fd);
}

/* -- bytes ----------------------------------------------------------------- */

/* Up to `size` bytes; 0 at the end. */
static size_t get(struct stream *s, uint8_t *data, size_t size)
{
    if (s->ssl != NULL) {
        ERR_clear_error();
        int n = SSL_read(s->ssl, data, (int)size);
        return n > 0 ? (size_t)n : 0;
    }
    ssize_t n = read(s->fd, data, size);
    return n > 0 ? (size_t)n : 0;
}

static bool get_all(struct stream *s, uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t n = get(s, data, size);
        if (n == 0) {
            return false;
        }
        data += n;
        size -= n;
    }
    return true;
}

static bool put_all(struct stream *s, const uint8_t *data, size_t size)
{
    if (s->ssl != NULL) {
        ERR_clear_error();
        return SSL_write(s->ssl, data, (int)size) == (int)size;
    }
    while (size > 0) {
        ssize_t n = send(s->fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* -- the two sides --------------------------------------------------------- */

/* Echoes; or reads to the end. */
static void serve(struct stream *s, const struct options *o)
{
    static uint8_t data[SIZE_MAX_BYTES];
    if (!o->send) {
        while (get_all(s, data, o->size) && put_all(s, data, o->size)) {
        }
        return;
    }
    while (get(s, data, sizeof data) > 0) {
    }
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

static struct result ask(struct stream *s, const struct options *o)
{
    static uint8_t data[SIZE_MAX_BYTES];
    static float samples[SAMPLES_MAX];
    struct result r = {0};
    uint64_t count = 0;
    double start = 0;
    double last = 0;
    for (uint64_t i = 0;; i++) {
        if (i == WARM_UP) {
            start = now_s();
            last = start;
        }
        must(put_all(s, data, o->size) && get_all(s, data, o->size), "echo");
        if (i < WARM_UP) {
            continue;
        }
        double now = now_s();
        samples[count % SAMPLES_MAX] = (float)((now - last) * 1e6);
        last = now;
        count++;
        if (now - start >= o->seconds) {
            break;
        }
    }
    r.cpu_s = cpu_s(RUSAGE_SELF); /* without the sorting */
    const size_t kept = count < SAMPLES_MAX ? (size_t)count : SAMPLES_MAX;
    qsort(samples, kept, sizeof samples[0], by_value);
    r.messages = count;
    r.elapsed_s = last - start;
    r.p50_us = (double)samples[kept / 2];
    r.p99_us = (double)samples[kept * 99 / 100];
    return r;
}

/* Sends batches of whole messages, then waits until the other side has read
 * them all: it closes then. */
static struct result stream_out(struct stream *s, const struct options *o)
{
    static uint8_t data[SIZE_MAX_BYTES];
    struct result r = {0};
    size_t per_batch = BATCH_BYTES / o->size;
    per_batch = per_batch == 0 ? 1 : per_batch;
    double start = now_s();
    do {
        for (int i = 0; i < CLOCK_EVERY; i++) {
            must(put_all(s, data, per_batch * o->size), "write");
            r.messages += per_batch;
        }
    } while (now_s() - start < o->seconds);
    if (s->ssl != NULL) {
        (void)SSL_shutdown(s->ssl);
    }
    must(shutdown(s->fd, SHUT_WR) == 0, "shutdown");
    while (read(s->fd, data, sizeof data) > 0) {
    }
    r.elapsed_s = now_s() - start;
    r.cpu_s = cpu_s(RUSAGE_SELF);
    return r;
}

/* -- set-up ---------------------------------------------------------------- */

static int listener(struct sockaddr_in *at)
{
    socklen_t size = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && bind(fd, (struct sockaddr *)at, size) == 0 &&
             listen(fd, 1) == 0 &&
             getsockname(fd, (struct sockaddr *)at, &size) == 0,
         "listen on loopback");
    return fd;
}

static void no_delay(int fd)
{
    const int yes = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0,
         "TCP_NODELAY");
}

_Noreturn static void server(int listening, const struct options *o)
{
    struct stream s = {0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(o->two_cpus ? 1 : 0);
    s.fd = accept(listening, NULL, NULL);
    must(s.fd >= 0, "accept");
    no_delay(s.fd);
    if (o->tls) {
        start_tls(&s, true);
    }
    serve(&s, o);
    end(&s);
    exit(0);
}

static struct result measure(const struct options *o)
{
    struct sockaddr_in at = {0};
    int listening = listener(&at);
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        server(listening, o);
    }
    (void)close(listening);
    pin(0);
    struct stream s = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    must(s.fd >= 0 && connect(s.fd, (struct sockaddr *)&at, sizeof at) == 0,
         "connect");
    no_delay(s.fd);
    if (o->tls) {
        start_tls(&s, false);
    }
    struct result r = o->send ? stream_out(&s, o) : ask(&s, o);
    end(&s);
    int status = 0;
    must(waitpid(child, &status, 0) == child, "wait");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        die("the other process failed");
    }
    r.cpu_s += cpu_s(RUSAGE_CHILDREN);
    return r;
}

static void report(const struct options *o, const struct result *r)
{
    (void)printf("{\"what\":\"%s\",\"transport\":\"%s\",\"cpus\":\"%s\","
                 "\"size\":%zu,\"messages\":%llu,\"seconds\":%.3f,"
                 "\"rate\":%.0f,",
                 o->send ? "send" : "echo", o->tls ? "tls" : "tcp",
                 o->two_cpus ? "two" : "one", o->size,
                 (unsigned long long)r->messages, r->elapsed_s,
                 (double)r->messages / r->elapsed_s);
    if (!o->send) {
        (void)printf("\"p50_us\":%.2f,\"p99_us\":%.2f,", r->p50_us, r->p99_us);
    }
    (void)printf("\"cpu_s_per_million\":%.4f}\n",
                 r->cpu_s * 1e6 / (double)r->messages);
}

_Noreturn static void usage(void)
{
    (void)fprintf(stderr,
                  "usage: motet-floor echo|send [--tls|--tcp] [--size BYTES] "
                  "[--seconds S] [--cpus one|two]\n");
    exit(64);
}

static void set(struct options *o, int key, const char *text)
{
    char *rest = NULL;
    switch (key) {
    case 't':
        o->tls = true;
        break;
    case 'p':
        o->tls = false;
        break;
    case 's':
        o->size = strtoul(text, &rest, 10);
        break;
    case 'd':
        o->seconds = strtod(text, &rest);
        break;
    case 'c':
        o->two_cpus = strcmp(text, "two") == 0;
        if (!o->two_cpus && strcmp(text, "one") != 0) {
            usage();
        }
        break;
    default:
        usage();
    }
    if (rest != NULL && *rest != '\0') {
        usage();
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"tls", no_argument, NULL, 't'},
        {"tcp", no_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 'd'},
        {"cpus", required_argument, NULL, 'c'},
        {0}};
    struct options o = {.tls = true, .size = 64, .seconds = 2};
    int key;
    if (argc < 2) {
        usage();
    }
    o.send = strcmp(argv[1], "send") == 0;
    o.two_cpus = o.send;
    if (!o.send && strcmp(argv[1], "echo") != 0) {
        usage();
    }
    while ((key = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1) {
        set(&o, key, optarg);
    }
    if (optind != argc - 1 || o.size < 1 || o.size > SIZE_MAX_BYTES ||
        !(o.seconds > 0 && o.seconds <= SECONDS_MAX)) {
        usage();
    }
    (void)signal(SIGPIPE, SIG_IGN);
    const struct result r = measure(&o);
    report(&o, &r);
    return 0;
}
