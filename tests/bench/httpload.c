// A client that downloads one URL over N connections at once and times it: the reading side of the
// playback benchmark. Every byte received is read (summed up), as a player would touch it, unless
// --discard asks the kernel to throw the bytes away.
//
// usage: httpload [--discard] ADDRESS PORT PATH CLIENTS
// prints {"bytes":…,"seconds":…,"first_byte_ms":…,"sum":…}; first_byte_ms is the median over the
// clients, from connect() to the first byte of the answer.
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    READ_SIZE = 256 * 1024,
    HEADER_MAX = 16 * 1024,
};

struct client {
    int fd;
    int64_t started_us;
    int64_t first_byte_us;
    char header[HEADER_MAX];
    size_t header_size;
    bool in_body;
    uint64_t left;
};

struct load {
    struct sockaddr_in address;
    const char *path;
    bool discard;
    uint64_t bytes;
    uint64_t sum;
    uint8_t *buffer;
};

static void fail(const char *what)
{
    fprintf(stderr, "httpload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void client_start(struct client *client, const struct load *load)
{
    char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", load->path);
    client->started_us = time_monotonic_us();
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 ||
        connect(client->fd, (const void *)&load->address, sizeof(load->address)) < 0)
        fail("connect");
    if (send(client->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        fail("send");
    free(request);
}

// Takes in the answer's header; what follows it in the buffer is body. Returns how many of the
// bytes are body.
static size_t client_header(struct client *client, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (client->header_size == HEADER_MAX - 1) {
            errno = EMSGSIZE;
            fail("header");
        }
        client->header[client->header_size++] = (char)data[i];
        client->header[client->header_size] = '\0';
        if (client->header_size < 4 ||
            memcmp(client->header + client->header_size - 4, "\r\n\r\n", 4) != 0)
            continue;
        const char *length = strcasestr(client->header, "\r\nContent-Length: ");
        if (strncmp(client->header, "HTTP/1.1 200", 12) != 0 || length == NULL) {
            fprintf(stderr, "httpload: unexpected answer:\n%s", client->header);
            exit(1);
        }
        client->left = strtoull(length + strlen("\r\nContent-Length: "), NULL, 10);
        client->in_body = true;
        return size - i - 1;
    }
    return 0;
}

static void load_sum(struct load *load, const uint8_t *data, size_t size)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        sum += word;
    }
    load->sum += sum;
}

// Returns false once the client has its whole answer.
static bool client_read(struct client *client, struct load *load)
{
    int flags = load->discard && client->in_body ? MSG_TRUNC : 0;
    ssize_t got = recv(client->fd, load->buffer, READ_SIZE, flags);
    if (got < 0)
        fail("recv");
    if (got == 0) {
        errno = ECONNRESET;
        fail("the answer is cut off");
    }
    if (client->first_byte_us == 0)
        client->first_byte_us = time_monotonic_us();
    size_t body = (size_t)got;
    if (!client->in_body)
        body = client_header(client, load->buffer, (size_t)got);
    if (!load->discard)
        load_sum(load, load->buffer + ((size_t)got - body), body);
    load->bytes += body;
    client->left -= body;
    return !client->in_body || client->left > 0;
}

static void load_run(struct load *load, struct client *clients, int count)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        client_start(&clients[i], load);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    for (int open = count; open > 0;) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, 30000);
        if (ready <= 0)
            fail("no byte in 30 s");
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client_read(client, load))
                continue;
            close(client->fd);
            open--;
        }
    }
    close(epoll);
}

static int compare_int64(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int64_t median_first_byte_us(const struct client *clients, int count)
{
    int64_t *delays = xcalloc((size_t)count, sizeof(*delays));
    for (int i = 0; i < count; i++)
        delays[i] = clients[i].first_byte_us - clients[i].started_us;
    qsort(delays, (size_t)count, sizeof(*delays), compare_int64);
    int64_t median = delays[count / 2];
    free(delays);
    return median;
}

int main(int argc, char **argv)
{
    struct load load = {.address.sin_family = AF_INET};
    if (argc > 1 && strcmp(argv[1], "--discard") == 0) {
        load.discard = true;
        argc--;
        argv++;
    }
    if (argc != 5 || inet_pton(AF_INET, argv[1], &load.address.sin_addr) != 1) {
        fprintf(stderr, "usage: httpload [--discard] ADDRESS PORT PATH CLIENTS\n");
        return 64;
    }
    load.address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    load.path = argv[3];
    int count = (int)strtol(argv[4], NULL, 10);
    load.buffer = xmalloc(READ_SIZE);
    struct client *clients = xcalloc((size_t)count, sizeof(*clients));

    int64_t started_us = time_monotonic_us();
    load_run(&load, clients, count);
    double seconds = (double)(time_monotonic_us() - started_us) / 1e6;
    printf("{\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"first_byte_ms\":%.3f,\"sum\":%" PRIu64 "}\n",
        load.bytes, seconds, (double)median_first_byte_us(clients, count) / 1e3, load.sum);
    free(load.buffer);
    free(clients);
    return 0;
}
