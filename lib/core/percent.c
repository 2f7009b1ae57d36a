// Percent-encoding. See percent.h.
#include "lib/core/percent.h"

#include <string.h>

static int percent_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int percent_byte(const char *text, size_t left)
{
    if (left < 3 || text[0] != '%')
        return -1;
    int high = percent_digit(text[1]), low = percent_digit(text[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool percent_is_plain(char byte)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~";
    return byte != '\0' && strchr(plain, byte) != NULL;
}
