/* The other side of `causeway bench modbus`, in C on libmodbus, and the baseline client.
 *
 *   modbus_peer serve                              prints its port, serves one client after another
 *   modbus_peer poll PORT SECONDS TABLE:ADDRESS:COUNT...   reads the blocks again and again, prints JSON
 *
 * TABLE is c, d, h or i. The server's input registers 103 and 104 hold its clock, as a PLC's do.
 */
#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BITS 4096
#define REGISTERS 20000

static double seconds_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* High word first; modbus_set_float_abcd of libmodbus 3.1.6 swaps the bytes of each word. */
static void put_float(uint16_t *words, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    words[0] = bits >> 16;
    words[1] = bits & 0xffff;
}

static int serve(void)
{
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    struct sockaddr_in at;
    socklen_t length = sizeof at;
    int listening = ctx && map ? modbus_tcp_listen(ctx, 1) : -1;
    if (listening < 0 || getsockname(listening, (struct sockaddr *)&at, &length) < 0)
        return 1;
    for (int i = 0; i + 1 < REGISTERS; i += 2)
        put_float(map->tab_input_registers + i, i / 8.0f);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int n;
        if (modbus_tcp_accept(ctx, &listening) < 0)
            return 1;
        while ((n = modbus_receive(ctx, query)) >= 0) {
            uint32_t now = (uint32_t)time(NULL);
            map->tab_input_registers[103] = now >> 16;
            map->tab_input_registers[104] = now & 0xffff;
            if (n > 0 && modbus_reply(ctx, query, n, map) < 0)
                break;
        }
        modbus_close(ctx);
    }
}

static int read_block(modbus_t *ctx, const char *block)
{
    static uint16_t words[MODBUS_MAX_READ_REGISTERS];
    static uint8_t bits[MODBUS_MAX_READ_BITS];
    char table;
    int address, count;
    if (sscanf(block, "%c:%d:%d", &table, &address, &count) != 3)
        return -1;
    switch (table) {
    case 'c': return modbus_read_bits(ctx, address, count, bits);
    case 'd': return modbus_read_input_bits(ctx, address, count, bits);
    case 'h': return modbus_read_registers(ctx, address, count, words);
    default: return modbus_read_input_registers(ctx, address, count, words);
    }
}

static int poll_blocks(int port, double seconds, int count, char **blocks)
{
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", port);
    if (!ctx || modbus_connect(ctx) < 0)
        return 1;
    long polls = 0;
    double began = seconds_of(CLOCK_MONOTONIC), now = began;
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (; now - began < seconds; polls++, now = seconds_of(CLOCK_MONOTONIC))
        for (int i = 0; i < count; i++)
            if (read_block(ctx, blocks[i]) < 0)
                return 1;
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"polls\": %ld, \"seconds\": %.6f, \"cpu_s\": %.6f}\n", polls, now - began, cpu);
    modbus_close(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc > 4 && strcmp(argv[1], "poll") == 0)
        return poll_blocks(atoi(argv[2]), atof(argv[3]), argc - 4, argv + 4);
    fprintf(stderr, "usage: modbus_peer serve | poll PORT SECONDS TABLE:ADDRESS:COUNT...\n");
    return 2;
}
