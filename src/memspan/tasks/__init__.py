"""Sources of sequences with a known chance level. ``TASKS`` knows every name; none imports torch."""

from memspan.registry import Registry

TASKS = Registry(
    "task",
    {
        "palindrome": "memspan.tasks.palindrome:Palindrome",
        "sines": "memspan.tasks.sines:Sines",
        "two_sensors": "memspan.tasks.two_sensors:TwoSensors",
        "planted_period": "memspan.tasks.planted_period:PlantedPeriod",
        "copy": "memspan.tasks.copy:Copy",
        "adding": "memspan.tasks.adding:Adding",
        "associative_recall": "memspan.tasks.associative_recall:AssociativeRecall",
        "text": "memspan.text.task:Text",
    },
    bases=("memspan.tasks.task:Task",),
)
