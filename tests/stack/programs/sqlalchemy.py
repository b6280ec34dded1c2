# Mapped classes and SQL on SQLite, in memory and in a file; frames through it.
import pandas as pd
from sqlalchemy import ForeignKey, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    sales: Mapped[list["Sale"]] = relationship(back_populates="shop")


class Sale(Base):
    __tablename__ = "sale"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[float]
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))
    shop: Mapped[Shop] = relationship(back_populates="sales")


for url in ("sqlite://", "sqlite:///shop.db"):
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Shop(name="north", sales=[Sale(amount=1.5), Sale(amount=2.5)]))
        session.commit()
        total = session.scalar(select(func.sum(Sale.amount)).join(Shop).where(Shop.name == "north"))
        assert total == 4.0

pd.DataFrame({"a": [1, 2, 3]}).to_sql("frame", engine, index=False, if_exists="replace")
with engine.connect() as connection:
    assert connection.execute(text("SELECT SUM(a) FROM frame")).scalar_one() == 6
    assert pd.read_sql("SELECT * FROM frame WHERE a > 1", connection)["a"].tolist() == [2, 3]
engine.dispose()
print("stack ok")
