/* The library against a site that is not one: it says what it likes, and the
 * program must neither crash nor believe it. */
#include <criterion/criterion.h>
#include <motet/motet.h>
#include <sys/stat.h>

#include "libmotet_ground.h"
#include "proto/attach.h"
#include "sites/host/attach.h"

TestSuite(libmotet_site, .timeout = 30);

enum { BODY_MAX = 1000 };

struct fake {
    pthread_t thread;
    int listener;
    void (*act)(int fd); /* after HELLO was answered */
    bool stays;          /* until the program has closed */
    char dir[32];
    char path[64];
};

static void put(int fd, const struct attach_frame *f, const void *payload)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    static uint8_t packet[ATTACH_PACKET_MAX];
    struct attach_parcel p = {
        .op = f->op, .id = f->id, .fields = fields, .total = f->total};
    uint32_t chunk;
    p.field_bytes = (uint32_t)attach_fields(f, fields);
    struct writer w = writer_of(packet, sizeof packet);
    CHECK(attach_cut(&p, &w, sizeof packet, &chunk));
    memcpy(packet + w.at, payload, chunk);
    (void)send(fd, packet, w.at + chunk, MSG_NOSIGNAL);
}

/* What the program says next. */
static void get(int fd, struct attach_frame *f)
{
    static uint8_t packet[ATTACH_PACKET_MAX];
    const ssize_t size = recv(fd, packet, sizeof packet, 0);
    CHECK(size > 0);
    struct reader r = reader_of(packet, (size_t)size);
    CHECK(attach_decode(&r, ATTACH_CLIENT, f));
}

static void *fake_main(void *arg)
{
    struct fake *fake = arg;
    struct attach_frame f;
    const int fd = accept(fake->listener, NULL, NULL);
    CHECK(fd >= 0);
    get(fd, &f);
    const struct attach_frame welcome = {
        .op = ATTACH_RESULT,
        .id = f.id,
        .answers = ATTACH_HELLO,
        .source = {1, 2},
        .target = {3, 4},
        .body_bytes_max = BODY_MAX,
        .name = "fake",
    };
    put(fd, &welcome, "");
    fake->act(fd);
    while (fake->stays && recv(fd, &f, sizeof f, 0) > 0) {
    }
    close(fd);
    return NULL;
}

static struct motet *fake_start(struct fake *fake, void (*act)(int fd),
                                bool stays)
{
    struct motet *m;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(fake->dir, sizeof fake->dir, "/tmp/motet-test-XXXXXX");
    CHECK(mkdtemp(fake->dir) != NULL);
    (void)snprintf(fake->path, sizeof fake->path, "%s/s", fake->dir);
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", fake->path);
    fake->act = act;
    fake->stays = stays;
    fake->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(fake->listener, (const struct sockaddr *)&addr, sizeof addr) ==
          0);
    CHECK(listen(fake->listener, 1) == 0);
    CHECK(pthread_create(&fake->thread, NULL, fake_main, fake) == 0);
    OK(motet_attach(fake->path, &m));
    cr_expect_str_eq(motet_site_name(m), "fake");
    return m;
}

static void fake_stop(struct fake *fake)
{
    CHECK(pthread_join(fake->thread, NULL) == 0);
    close(fake->listener);
    unlink(fake->path);
    rmdir(fake->dir);
}

/* Answers PORT_NEW with a port. */
static void give_port(int fd)
{
    struct attach_frame f;
    get(fd, &f);
    const struct attach_frame result = {.op = ATTACH_RESULT,
                                        .id = f.id,
                                        .answers = ATTACH_PORT_NEW,
                                        .cap = {{5, 6}, 7}};
    put(fd, &result, "");
}

static struct attach_frame delivery(uint64_t id, uint32_t total)
{
    return (struct attach_frame){
        .op = ATTACH_DELIVER, .id = id, .port = {5, 6}, .total = total};
}

static void garbage(int fd)
{
    (void)send(fd, "220 welcome\r\n", 13, MSG_NOSIGNAL);
}

static void long_packet(int fd)
{
    static uint8_t bytes[ATTACH_PACKET_MAX + 1];
    (void)send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
}

static void op_of_a_client(int fd)
{
    const struct attach_frame f = {.op = ATTACH_BYE, .id = 9};
    put(fd, &f, "");
}

static void answer_to_nothing(int fd)
{
    const struct attach_frame f = {.op = ATTACH_SENT, .id = 9};
    put(fd, &f, "");
}

static void delivery_for_nothing(int fd)
{
    const struct attach_frame f = delivery(9, 0);
    put(fd, &f, "");
}

static void answer_of_another_op(int fd)
{
    struct attach_frame f;
    give_port(fd);
    get(fd, &f);
    const struct attach_frame wrong = {.op = ATTACH_SENT, .id = f.id};
    put(fd, &wrong, "");
}

static void result_for_a_receive(int fd)
{
    struct attach_frame f;
    give_port(fd);
    get(fd, &f);
    const struct attach_frame wrong = {
        .op = ATTACH_RESULT, .id = f.id, .answers = ATTACH_RECEIVE};
    put(fd, &wrong, "");
}

static void body_too_long(int fd)
{
    static const uint8_t body[BODY_MAX + 1];
    struct attach_frame f;
    give_port(fd);
    get(fd, &f);
    const struct attach_frame wrong = delivery(f.id, sizeof body);
    put(fd, &wrong, body);
}

static void parts_out_of_turn(int fd)
{
    uint8_t head[ATTACH_HEADER_BYTES];
    struct writer w = writer_of(head, sizeof head);
    struct attach_frame f;
    give_port(fd);
    get(fd, &f);
    attach_void(ATTACH_DELIVER, f.id, &w);
    (void)send(fd, head, w.at, MSG_NOSIGNAL);
}

static void one_port_twice(int fd)
{
    give_port(fd);
    give_port(fd);
}

static void nothing_more(int fd)
{
    give_port(fd);
}

static void (*const acts[])(int fd) = {
    garbage,
    long_packet,
    op_of_a_client,
    answer_to_nothing,
    delivery_for_nothing,
    answer_of_another_op,
    result_for_a_receive,
    body_too_long,
    parts_out_of_turn,
    one_port_twice,
    nothing_more,
};

Test(libmotet_site, a_site_is_not_believed)
{
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        struct fake fake;
        struct motet *m = fake_start(&fake, acts[i], acts[i] != nothing_more);
        struct motet_port *port = NULL;
        struct motet_port *twin = NULL;
        struct motet_msg msg;
        enum motet_err err = motet_port_create(m, NULL, &port);
        if (err == MOTET_OK && acts[i] == one_port_twice) {
            err = motet_port_create(m, NULL, &twin);
        } else if (err == MOTET_OK) {
            err = motet_receive(port, &msg, 5000);
        }
        cr_expect_eq(err, MOTET_E_DETACHED, "%zu: %s", i, motet_err_name(err));
        cr_expect(motet_lost(m), "%zu", i);
        motet_detach(m);
        fake_stop(&fake);
    }
}

/* The largest body is taken; and what a site said before it closed is read,
 * although the program had said more than the site has read. */
static void last_words(int fd)
{
    static const uint8_t body[BODY_MAX];
    struct attach_frame f;
    give_port(fd);
    get(fd, &f);
    struct attach_frame good = delivery(f.id, sizeof body);
    put(fd, &good, body);
    CHECK(recv(fd, &f, 1, MSG_PEEK) == 1); /* there is more, not read */
}

Test(libmotet_site, last_words_are_heard)
{
    struct fake fake;
    struct motet *m = fake_start(&fake, last_words, false);
    struct motet_port *port = ground_port(m, NULL);
    struct motet_msg msg;
    OK(motet_prefetch(m, 2)); /* the second one is not read */
    fake_stop(&fake);
    OK(motet_receive(port, &msg, 5000));
    cr_expect_eq(msg.body_bytes, (size_t)BODY_MAX);
    ERR(motet_receive(port, &msg, 5000), MOTET_E_DETACHED);
    motet_detach(m);
}
