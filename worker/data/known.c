#include "worker/data/known.h"

#include "search/attributes.h"

#include <stddef.h>
#include <string.h>

#define FASHION_MNIST "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

/* In the order of the labels (Xiao, Rasul and Vollgraf, 2017, table 2). */
static const char *const fashion_mnist_classes[] = {
    "T-shirt/top", "Trouser", "Pullover", "Dress",      "Coat", "Sandal",
    "Shirt",       "Sneaker", "Bag",      "Ankle boot", NULL,
};

/* URLs, sizes and sums are those of TensorFlow Datasets, tensorflow_datasets/url_checksums. */
static const struct known_dataset table[] = {
    {"cifar10",
     1,
     {{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", 170052171,
       "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}},
     NULL},
    {"cifar100",
     1,
     {{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", 168513733,
       "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"}},
     NULL},
    {"eurosat",
     1,
     {{"http://madm.dfki.de/files/sentinel/EuroSAT.zip", 94280567,
       "8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd"}},
     NULL},
    {"fashion-mnist",
     4,
     {{FASHION_MNIST "train-images-idx3-ubyte.gz", 26421880,
       "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
      {FASHION_MNIST "train-labels-idx1-ubyte.gz", 29515,
       "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
      {FASHION_MNIST "t10k-images-idx3-ubyte.gz", 4422102,
       "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
      {FASHION_MNIST "t10k-labels-idx1-ubyte.gz", 5148,
       "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}},
     fashion_mnist_classes},
    {"imagenette",
     1,
     {{"https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz", 341553947,
       "5020a9130cea0348272823cb12d2db7e981c6f2afa3dce71ccd5b8013005c55e"}},
     NULL},
};

const struct known_dataset *known_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const char *known_names(void)
{
    return "cifar10, cifar100, eurosat, fashion-mnist, imagenette";
}
