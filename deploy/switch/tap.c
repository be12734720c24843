#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inside.h"

/* TAP devices, and network namespaces around them. A namespace that is made
 * here has no name: it lives as long as this process, which holds it, and those
 * inside. So nothing of it can be left behind. */

static enum sent tap_send(struct port *p, const uint8_t *bytes, size_t size)
{
    if (write(p->watch->fd, bytes, size) >= 0) {
        return SENT_DONE;
    }
    return errno == EAGAIN || errno == ENOBUFS ? SENT_LATER : SENT_NOBODY;
}

static void tap_close(struct port *p)
{
    watch_free(p->watch);
    p->watch = NULL;
    if (p->netns >= 0) {
        close(p->netns);
        p->netns = -1;
    }
}

const struct port_kind tap_kind = {"tap", tap_send, tap_close};
const struct port_kind namespace_kind = {"namespace", tap_send, tap_close};

static bool failed(const char *what, char *why)
{
    snprintf(why, WHY_MAX, "%s: %s", what, strerror(errno));
    return false;
}

/* A device in the namespace that we are in. @return its descriptor, -1 */
static int open_tap(const char *name, char *why)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0) {
        (void)failed("/dev/net/tun", why);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static void take(struct port *p, int fd)
{
    p->watch = watch_new(p->net, fd, port_ready, p);
    watch_for(p->watch, UV_READABLE);
}

/* ---- in a namespace --------------------------------------------------------
 */

/* Back to where we were. Were it to fail we would be in the wrong network for
 * good: that is the end. */
static void leave(int home)
{
    CHECK(setns(home, CLONE_NEWNET) == 0);
    close(home);
}

static int home_now(char *why)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    if (home < 0) {
        (void)failed("/proc/self/ns/net", why);
    }
    return home;
}

bool tap_open(struct port *p, char **words, size_t count, char *why)
{
    int home = -1;

    if (count < 1 || count > 2 || strlen(words[0]) >= IFNAMSIZ) {
        snprintf(why, WHY_MAX, "say: port NAME tap IFNAME [NETNS]");
        return false;
    }
    if (count == 2) {
        int to = open(words[1], O_RDONLY | O_CLOEXEC);
        home = to < 0 ? -1 : home_now(why);
        if (home < 0 || setns(to, CLONE_NEWNET) != 0) {
            (void)failed("cannot enter the namespace", why);
            if (to >= 0) {
                close(to);
            }
            if (home >= 0) {
                close(home);
            }
            return false;
        }
        close(to);
    }
    int fd = open_tap(words[0], why);
    if (home >= 0) {
        leave(home);
    }
    if (fd < 0) {
        return false;
    }
    take(p, fd);
    return true;
}

static void set_address(struct ifreq *r, uint32_t address)
{
    const struct sockaddr_in in = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(address)};

    memcpy(&r->ifr_addr, &in, sizeof in);
}

/* Up, with an address; quiet: no IPv6 that asks for neighbours. */
static bool configure(const char *name, uint32_t address, unsigned bits,
                      const uint8_t mac[6], char *why)
{
    static const char off[] = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int ipv6 = open(off, O_WRONLY | O_CLOEXEC);

    if (ipv6 >= 0) {
        ssize_t n = write(ipv6, "1", 1);
        (void)n; /* without IPv6 there is nothing to turn off */
        close(ipv6);
    }
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(r.ifr_hwaddr.sa_data, mac, 6);
    bool ok = fd >= 0 && ioctl(fd, SIOCSIFHWADDR, &r) == 0;
    set_address(&r, address);
    ok = ok && ioctl(fd, SIOCSIFADDR, &r) == 0;
    set_address(&r, bits == 0 ? 0 : UINT32_MAX << (32 - bits));
    ok = ok && ioctl(fd, SIOCSIFNETMASK, &r) == 0;
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    ok = ok && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    snprintf(r.ifr_name, sizeof r.ifr_name, "lo");
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    ok = ok && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    if (!ok) {
        (void)failed("cannot set up the device", why);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool read_address(const char *text, uint32_t *address, unsigned *bits)
{
    char host[INET_ADDRSTRLEN];
    struct in_addr in;
    const size_t n = strcspn(text, "/");
    char *end;

    if (n >= sizeof host || text[n] != '/') {
        return false;
    }
    memcpy(host, text, n);
    host[n] = '\0';
    const unsigned long b = strtoul(text + n + 1, &end, 10);
    *bits = (unsigned)b;
    if (inet_pton(AF_INET, host, &in) != 1 || *end != '\0' || b < 1 || b > 31) {
        return false;
    }
    *address = ntohl(in.s_addr);
    return true;
}

/* Given, or made of the address: locally administered, one for each. */
static bool read_mac(const char *text, uint32_t address, uint8_t mac[6])
{
    unsigned b[6];

    if (text == NULL) {
        const uint8_t made[6] = {0x02,
                                 0x6d,
                                 (uint8_t)(address >> 24),
                                 (uint8_t)(address >> 16),
                                 (uint8_t)(address >> 8),
                                 (uint8_t)address};
        memcpy(mac, made, 6);
        return true;
    }
    char more;
    if (strlen(text) != 17 ||
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3],
               &b[4], &b[5], &more) != 6 ||
        (b[0] & 1) != 0) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return true;
}

bool namespace_open(struct port *p, char **words, size_t count, char *why)
{
    uint32_t address;
    unsigned bits;
    uint8_t mac[6];

    if (count < 1 || count > 2 || !read_address(words[0], &address, &bits) ||
        !read_mac(count == 2 ? words[1] : NULL, address, mac)) {
        snprintf(why, WHY_MAX, "say: port NAME namespace ADDRESS/BITS [MAC]");
        return false;
    }
    int home = home_now(why);
    if (home < 0) {
        return false;
    }
    if (unshare(CLONE_NEWNET) != 0) {
        close(home);
        return failed("cannot make a network namespace", why);
    }
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd = open_tap("eth0", why);
    const bool ok =
        here >= 0 && fd >= 0 && configure("eth0", address, bits, mac, why);
    leave(home);
    if (!ok) {
        if (here >= 0) {
            close(here);
        }
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    p->netns = here;
    snprintf(p->netns_path, sizeof p->netns_path, "/proc/%d/fd/%d",
             (int)getpid(), here);
    snprintf(p->mac, sizeof p->mac, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
             mac[1], mac[2], mac[3], mac[4], mac[5]);
    take(p, fd);
    return true;
}
