#include "worker/exec_dataset.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes a number and the letter after it, '\0' at the end, off the front of *text. False where they are not there. */
static bool take(const char **text, char after, uint64_t *ret_number)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    const unsigned long long number = strtoull(*text, &end, 10);
    if (errno != 0 || *end != after)
        return false;
    *ret_number = number;
    *text = after ? end + 1 : end;
    return true;
}

static bool take_u32(const char **text, char after, uint32_t *ret_number)
{
    uint64_t number;
    if (!take(text, after, &number) || number > UINT32_MAX)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool read_facts(const char *text, struct dataset *dataset)
{
    uint32_t height;
    if (!take_u32(&text, 'x', &dataset->image_size) || !take_u32(&text, 'x', &height) ||
        !take_u32(&text, ':', &dataset->image_channels) ||
        !take_u32(&text, ':', &dataset->classes) || height != dataset->image_size)
        return false;
    if (take(&text, '\0', &dataset->train_images))
        return true;
    return take(&text, ':', &dataset->train_images) && take(&text, '\0', &dataset->test_images);
}

static int find_known(const char *name, struct dataset *ret_dataset, struct error *error)
{
    const struct dataset *known = dataset_known(name);
    if (!known)
        return error_set(error, -EINVAL, "",
                         "--exec-dataset: no data set \"%.64s\" is well known; say what it is, "
                         "NAME:SIZExSIZExCHANNELS:CLASSES:TRAIN[:TEST]",
                         name);
    *ret_dataset = *known;
    return 0;
}

int exec_dataset_read(const char *text, struct dataset *ret_dataset, struct error *error)
{
    struct dataset dataset = {.test_images = 0};
    struct error detail;
    const size_t length = strcspn(text, ":");
    if (text[length] == '\0')
        return find_known(text, ret_dataset, error);
    if (length < sizeof dataset.name)
        memcpy(dataset.name, text, length);
    if (!read_facts(text + length + 1, &dataset))
        return error_set(error, -EINVAL, "",
                         "--exec-dataset must be NAME or "
                         "NAME:SIZExSIZExCHANNELS:CLASSES:TRAIN[:TEST], not \"%.120s\"",
                         text);
    int code = dataset_validate(&dataset, &detail);
    if (code < 0)
        return error_set(error, code, "", "--exec-dataset %.120s: %s", text, detail.message);
    *ret_dataset = dataset;
    return 0;
}
