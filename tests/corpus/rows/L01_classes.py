# expect: Point(x=1, y=2) 3
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: int
    def total(self):
        return self.x + self.y
print(Point(1, 2), Point(1, 2).total())
# %%
# expect: Base.hello -> child
class Base:
    def hello(self):
        return 'Base.hello -> ' + self.name
class Child(Base):
    name = 'child'
print(Child().hello())
