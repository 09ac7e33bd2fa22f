#!/usr/bin/env python3
"""The learning-rate factors of transformers' schedules, for tests/optim/schedule_test.cc: make.py > expected.json (needs torch)."""
import json

import torch
import transformers

WARMUP, STEPS = 5, 20


def factors(make, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS, **options)
    values = []
    for _ in range(STEPS + 1):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return values


print(json.dumps({"transformers": transformers.__version__, "warmup": WARMUP, "steps": STEPS,
                  "cosine": factors(transformers.get_cosine_schedule_with_warmup),
                  "cosine_min": factors(transformers.get_cosine_with_min_lr_schedule_with_warmup, min_lr_rate=0.1),
                  "linear": factors(transformers.get_linear_schedule_with_warmup)}, indent=1))
