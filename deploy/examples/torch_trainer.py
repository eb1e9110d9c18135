#!/usr/bin/python3
"""Trains one candidate with PyTorch and plain SGD, on a data set in IDX files: docs/exec-trainer.md."""
import gzip, json, sys, time
import numpy, torch
from torch.nn.functional import cross_entropy
from torch_network import network

def say(**line): print(json.dumps(line), flush=True)
def read(name, head, *shape):
    path = "%s/%s/train-%s-ubyte.gz" % (task["data"] or "/usr/share/datasets", data["name"], name)
    return torch.tensor(numpy.frombuffer(gzip.open(path).read(), "u1", offset=head)).reshape(-1, *shape)[order].to(task["device"])
def build(which):
    net = network(task[which], data).to(task["device"])
    return net, torch.optim.SGD(net.parameters(), recipe["learning_rate"], recipe["momentum"], weight_decay=recipe["weight_decay"])
def step(net, optimizer, chosen):  # the loss, which waits for the device, and the seconds
    begin, loss = time.perf_counter(), cross_entropy(net.train()(x[chosen]), y[chosen])
    optimizer.zero_grad(), loss.backward(), optimizer.step()
    return float(loss), time.perf_counter() - begin
def seconds(which): return sorted(step(*job, slice(batch))[1] for job in [build(which)] * 7)[3]
def measure(net, x, y):
    with torch.no_grad(): logits = torch.cat([*map(net.eval(), x.split(250))])
    return float(cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())

task = json.load(sys.stdin)
recipe, data, batch, trained = task["recipe"], task["dataset"], task["recipe"]["batch"], task["train_images"]
order = torch.randperm(data["train_images"], generator=torch.Generator().manual_seed(task["split_seed"]))[:trained + task["validation_images"]]
x = read("images-idx3", 16, data["image_channels"], data["image_size"], data["image_size"]).float() / 255
y = read("labels-idx1", 8).long()
torch.manual_seed(task["seed"])
(net, optimizer), steps = build("architecture"), trained // batch
for epoch in range(task["epochs"]):
    for i, chosen in enumerate(torch.randperm(trained)[:steps * batch].split(batch)):
        step(net, optimizer, chosen)
        say(progress={"steps_done": epoch * steps + i + 1, "steps_total": task["epochs"] * steps})
    (train_loss, train_accuracy), (loss, accuracy) = measure(net, x[:trained], y[:trained]), measure(net, x[trained:], y[trained:])
    say(epoch={"number": epoch + 1, "train_loss": train_loss, "train_accuracy": train_accuracy, "validation_loss": loss, "validation_accuracy": accuracy})
timing = {"median_seconds": seconds("architecture"), "baseline_seconds": seconds("baseline")}
say(result={"accuracy": accuracy, "loss": loss, "timing": timing})
