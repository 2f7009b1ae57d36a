// Days as people count them. See civil.h.
#include "webui/civil.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/core/timeutil.h"

enum {
    CIVIL_DAY_S = 86400,
    CIVIL_OFFSET_MAX_S = 18 * 3600,
};

static bool civil_number(const char *text, int digits, int *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *number = *number * 10 + (text[i] - '0');
    }
    return true;
}

bool civil_parse_zone(const char *text, struct civil_zone *zone)
{
    int hours, minutes;
    *zone = (struct civil_zone){.local = strcmp(text, "local") == 0};
    if (zone->local || strcmp(text, "utc") == 0 || strcmp(text, "Z") == 0)
        return true;
    if (strlen(text) != 6 || strchr("+- ", text[0]) == NULL || text[3] != ':' ||
        !civil_number(text + 1, 2, &hours) || !civil_number(text + 4, 2, &minutes) || minutes > 59)
        return false;
    zone->offset_s = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return zone->offset_s >= -CIVIL_OFFSET_MAX_S && zone->offset_s <= CIVIL_OFFSET_MAX_S;
}

bool civil_parse_day(const char *text, int64_t *day)
{
    struct tm tm = {0};
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' ||
        !civil_number(text, 4, &tm.tm_year) || !civil_number(text + 5, 2, &tm.tm_mon) ||
        !civil_number(text + 8, 2, &tm.tm_mday) || tm.tm_year < 1970 || tm.tm_year > 9998)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int month = tm.tm_mon, number = tm.tm_mday;
    *day = timegm(&tm) / CIVIL_DAY_S;
    // timegm() carries the 31st of February over into March: such a day is none.
    return tm.tm_mon == month && tm.tm_mday == number;
}

static struct tm civil_date(int64_t day)
{
    struct tm tm;
    time_t seconds = day * CIVIL_DAY_S;
    gmtime_r(&seconds, &tm);
    return tm;
}

void civil_format_day(int64_t day, char text[CIVIL_DAY_SIZE])
{
    struct tm tm = civil_date(day);
    strftime(text, CIVIL_DAY_SIZE, "%Y-%m-%d", &tm);
}

int64_t civil_day_start(const struct civil_zone *zone, int64_t day)
{
    struct tm tm = civil_date(day);
    tm.tm_isdst = -1;
    time_t seconds = zone->local ? mktime(&tm) : day * CIVIL_DAY_S - zone->offset_s;
    return seconds > 0 ? seconds * US_PER_SECOND : 0;
}

int64_t civil_day_of(const struct civil_zone *zone, int64_t time_us)
{
    int offset_s = zone->local ? time_local_offset(time_us) : zone->offset_s;
    return time_day_number(time_us + offset_s * US_PER_SECOND);
}
