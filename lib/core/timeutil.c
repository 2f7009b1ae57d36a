// Clocks, and times as text. See timeutil.h.
#include "lib/core/timeutil.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t time_read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t time_now_us(void)
{
    return time_read_clock(CLOCK_REALTIME);
}

int64_t time_monotonic_us(void)
{
    return time_read_clock(CLOCK_MONOTONIC);
}

static int64_t time_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void time_format_utc(int64_t time_us, char text[TIME_TEXT_SIZE])
{
    time_t seconds = time_floor_div(time_us, US_PER_SECOND);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, TIME_TEXT_SIZE - length, ".%06" PRId64 "Z",
        time_us - seconds * US_PER_SECOND);
}

void time_format_day(int64_t time_us, char text[TIME_TEXT_SIZE])
{
    time_t seconds = time_floor_div(time_us, US_PER_SECOND);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, TIME_TEXT_SIZE, "%Y-%m-%d", &utc);
}

int64_t time_day_number(int64_t time_us)
{
    return time_floor_div(time_us, US_PER_DAY);
}

int time_local_offset(int64_t time_us)
{
    time_t seconds = time_floor_div(time_us, US_PER_SECOND);
    struct tm local;
    localtime_r(&seconds, &local);
    return (int)local.tm_gmtoff;
}

// Reads exactly `digits` decimal digits; moves *text behind them.
static bool time_read_digits(const char **text, int digits, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)**text))
            return false;
        *value = *value * 10 + (*(*text)++ - '0');
    }
    return true;
}

static bool time_read_char(const char **text, const char *allowed)
{
    if (**text == '\0' || strchr(allowed, **text) == NULL)
        return false;
    (*text)++;
    return true;
}

// Reads an optional fraction of a second, in microseconds.
static bool time_read_fraction(const char **text, int64_t *fraction_us)
{
    *fraction_us = 0;
    if (**text != '.')
        return true;
    (*text)++;
    if (!isdigit((unsigned char)**text))
        return false;
    int64_t scale = US_PER_SECOND / 10;
    for (; isdigit((unsigned char)**text); (*text)++) {
        *fraction_us += scale * (**text - '0');
        scale /= 10;
    }
    return true;
}

static bool time_read_offset(const char **text, int *offset_s)
{
    *offset_s = 0;
    if (time_read_char(text, "Zz"))
        return true;
    int sign = **text == '-' ? -1 : 1;
    int hours, minutes;
    if (!time_read_char(text, "+- ") || !time_read_digits(text, 2, &hours) ||
        !time_read_char(text, ":") || !time_read_digits(text, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool time_parse_rfc3339(const char *text, int64_t *time_us)
{
    struct tm tm = {0};
    int64_t fraction_us;
    int offset_s;
    if (!time_read_digits(&text, 4, &tm.tm_year) || !time_read_char(&text, "-") ||
        !time_read_digits(&text, 2, &tm.tm_mon) || !time_read_char(&text, "-") ||
        !time_read_digits(&text, 2, &tm.tm_mday) || !time_read_char(&text, "Tt ") ||
        !time_read_digits(&text, 2, &tm.tm_hour) || !time_read_char(&text, ":") ||
        !time_read_digits(&text, 2, &tm.tm_min) || !time_read_char(&text, ":") ||
        !time_read_digits(&text, 2, &tm.tm_sec) || !time_read_fraction(&text, &fraction_us) ||
        !time_read_offset(&text, &offset_s) || *text != '\0')
        return false;
    if (tm.tm_year < 1970 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    int seconds_in_minute = tm.tm_sec, month = tm.tm_mon - 1, day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon = month;
    tm.tm_sec = 0; // a leap second (60) must not carry into the date that is checked below
    int64_t minute = timegm(&tm);
    // timegm() carries the 31st of February over into March: such a date is none.
    if (tm.tm_mon != month || tm.tm_mday != day)
        return false;
    *time_us = (minute + seconds_in_minute - offset_s) * US_PER_SECOND + fraction_us;
    return *time_us >= 0;
}

static bool time_parse_epoch(const char *text, int64_t *time_us)
{
    int64_t seconds = 0, fraction_us;
    int digits = 0;
    for (; isdigit((unsigned char)*text); text++) {
        if (++digits > 12)
            return false;
        seconds = seconds * 10 + (*text - '0');
    }
    if (digits == 0 || !time_read_fraction(&text, &fraction_us) || *text != '\0' ||
        seconds > INT64_C(253402300799))
        return false;
    *time_us = seconds * US_PER_SECOND + fraction_us;
    return true;
}

bool time_parse(const char *text, int64_t *time_us)
{
    return time_parse_epoch(text, time_us) || time_parse_rfc3339(text, time_us);
}

int64_t time_muldiv(int64_t a, int64_t b, int64_t c)
{
    __int128 product = (__int128)a * b;
    __int128 half = c / 2;
    return (int64_t)((product + (product < 0 ? -half : half)) / c);
}
