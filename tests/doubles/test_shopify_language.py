"""The double of Shopify reads a document as Shopify does: what the schema does not have is answered with `errors`."""

from typing import Any

import pytest

from tests.doubles.shopify import Shop, Shopify
from tests.doubles.test_robaws import Receiver
from tests.doubles.test_shopify import CREATE, ask, shop, shopify

__all__ = ["shop", "shopify"]  # fixtures
ORDER = "query($id: ID!) { order(id: $id) { id } }"


def told(shopify: Shopify, query: str, **variables: Any) -> tuple[str, str]:
    """The code and the words that a document is refused with; it is never run."""
    response = ask(shopify, query, **variables)
    assert response.status_code == 200
    answer = response.json()
    assert "data" not in answer
    assert shopify.shop().calls == []
    return answer["errors"][0]["extensions"]["code"], answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("query { shop { nonsenseField } }", "undefinedField"),
        ("query { nonsense { id } }", "undefinedField"),
        ("query { products(first: 1) { nodes { variants(first: 1) { nodes { skuu } } } } }", "undefinedField"),
        ("query { discountNodes(first: 1) { nodes { discount { title } } } }", "undefinedField"),
        ("query { products { nodes { id } } }", "BAD_REQUEST"),
        ("query { products(first: 1) { nodes { metafields { nodes { id } } } } }", "BAD_REQUEST"),
        ("query { products(first: 1, last: 1) { nodes { id } } }", "BAD_REQUEST"),
        ("query { products(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        ("query { products(first: 1, sortKey: NONSENSE) { nodes { id } } }", "argumentLiteralsIncompatible"),
        ('query { products(first: "1") { nodes { id } } }', "argumentLiteralsIncompatible"),
        ("query { products(first: 1, nonsense: 1) { nodes { id } } }", "argumentNotAccepted"),
        ("query { order { id } }", "missingRequiredArguments"),
        ("query { shop { primaryDomain } }", "selectionMismatch"),
        ("query { shop { name { first } } }", "selectionMismatch"),
        ("query($after: String) { shop { id } }", "variableNotUsed"),
        ("query { products(first: 1, after: $after) { nodes { id } } }", "variableNotDefined"),
        ("query($id: String!) { order(id: $id) { id } }", "variableMismatch"),
        ("query($id: Nonsense!) { order(id: $id) { id } }", "undefinedType"),
        ("query { shop { id }", "graphqlInvalid"),
        ("query A { shop { id } } query B { shop { id } }", "graphqlInvalid"),
    ],
)
def test_a_document_that_asks_for_what_there_is_not_is_never_run(shopify: Shopify, query: str, code: str) -> None:
    assert told(shopify, query)[0] == code


@pytest.mark.parametrize(
    ("query", "variables", "words"),
    [
        (ORDER, {}, "Variable $id of type ID! was provided invalid value"),
        (CREATE, {"sub": {"uri": "https://x.example"}}, "Variable $topic of type WebhookSubscriptionTopic!"),
        (CREATE, {"topic": "ORDERS_NONSENSE", "sub": {}}, "ORDERS_NONSENSE"),
        (CREATE, {"topic": "CUSTOMERS_REDACT", "sub": {}}, "CUSTOMERS_REDACT"),
        (CREATE, {"topic": "ORDERS_PAID", "sub": {"uri": "https://x.example", "nonsense": 1}}, "nonsense"),
        (CREATE, {"topic": "ORDERS_PAID", "sub": {"format": "YAML"}}, "YAML"),
    ],
)
def test_a_variable_that_is_missing_or_of_another_type_is_refused(
    shopify: Shopify, query: str, variables: dict[str, Any], words: str
) -> None:
    code, message = told(shopify, query, **variables)
    assert code == "INVALID_VARIABLE"
    assert words in message


def test_what_is_not_selected_is_not_answered(shopify: Shopify, shop: Shop) -> None:
    shop.add_products(1, metafields=2)
    query = (
        "query { some: products(first: 1) { nodes { id ...More } } } fragment More on Product { title, titel: title }"
    )
    answer = ask(shopify, query).json()["data"]
    title = shop.products[0]["title"]
    assert answer == {"some": {"nodes": [{"id": shop.products[0]["id"], "title": title, "titel": title}]}}
    query = "query($no: Boolean!) { shop { __typename id @skip(if: true) name @include(if: $no) } }"
    assert ask(shopify, query, no=False).json()["data"] == {"shop": {"__typename": "Shop"}}


def test_a_list_in_a_node_has_pages_of_its_own_and_a_field_that_nobody_set_is_its_types_blank(
    shopify: Shopify, shop: Shop
) -> None:
    shop.add_products(1, metafields=3)
    query = """query($after: String) { products(first: 1) { nodes { vendor publishedAt status
      metafields(first: 2, after: $after) { nodes { key } pageInfo { hasNextPage hasPreviousPage endCursor } } } } }"""
    [first] = ask(shopify, query).json()["data"]["products"]["nodes"]
    assert (first["vendor"], first["publishedAt"], first["status"]) == ("", None, "ACTIVE")
    assert [one["key"] for one in first["metafields"]["nodes"]] == ["k0", "k1"]
    assert first["metafields"]["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False, "endCursor": "2"}
    [rest] = ask(shopify, query, after="2").json()["data"]["products"]["nodes"]
    assert [one["key"] for one in rest["metafields"]["nodes"]] == ["k2"]
    assert rest["metafields"]["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True, "endCursor": "3"}


def test_the_last_of_a_list_are_read_backwards(shopify: Shopify, shop: Shop) -> None:
    shop.add_products(5)
    query = "query($before: String) { products(last: 2, before: $before) { nodes { id } pageInfo { startCursor } } }"
    last = ask(shopify, query).json()["data"]["products"]
    earlier = ask(shopify, query, before=last["pageInfo"]["startCursor"]).json()["data"]["products"]
    ids = [product["id"] for product in shop.products]
    assert [[node["id"] for node in page["nodes"]] for page in (last, earlier)] == [ids[3:], ids[1:3]]


def test_a_union_is_shown_as_what_it_is_and_costs_no_more_than_its_dearest_part(shopify: Shopify, shop: Shop) -> None:
    value = {"__typename": "DiscountPercentage", "percentage": 0.1}
    shop.add_discount("DiscountAutomaticBasic", title="−10 %", customerGets={"value": value})
    query = """query { discountNodes(first: 50) { nodes { discount { __typename
      ... on DiscountCodeBasic { codes(first: 10) { nodes { code } } }
      ... on DiscountCodeBxgy { codes(first: 10) { nodes { code } } }
      ... on DiscountAutomaticBasic { title
        customerGets { value { ... on DiscountPercentage { percentage } } } } } } } }"""
    answer = ask(shopify, query).json()
    assert answer["extensions"]["cost"]["requestedQueryCost"] == 50 + 500 + 1
    [node] = answer["data"]["discountNodes"]["nodes"]
    assert node["discount"] == {
        "__typename": "DiscountAutomaticBasic",
        "title": "−10 %",
        "customerGets": {"value": {"percentage": 0.1}},
    }


@pytest.mark.parametrize("cursor", ["not-a-cursor", "-1", "²"])
def test_a_cursor_of_nobodys_is_refused(shopify: Shopify, cursor: str) -> None:
    query = "query($after: String) { products(first: 2, after: $after) { nodes { id } } }"
    assert "Invalid cursor" in ask(shopify, query, after=cursor).json()["errors"][0]["message"]


def test_an_id_that_is_no_global_id_is_refused(shopify: Shopify) -> None:
    assert "Invalid global id 'nonsense'" in ask(shopify, ORDER, id="nonsense").text


def test_a_field_without_its_scope_is_denied_and_the_others_are_answered(shopify: Shopify, shop: Shop) -> None:
    order = shop.order()
    shop.scopes = ("write_products",)
    query = "query($id: ID!) { shop { id } order(id: $id) { id } }"
    answer = ask(shopify, query, id=f"gid://shopify/Order/{order.id}").json()
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["order"], "ACCESS_DENIED")
    assert "`read_orders` access scope" in error["message"]
    assert answer["data"] == {"shop": {"id": "gid://shopify/Shop/1"}, "order": None}
    assert "errors" not in ask(shopify, "query { productVariants(first: 1) { nodes { id } } }").json()
    shop.scopes = ("read_orders",)
    assert ask(shopify, "query { products(first: 1) { nodes { id } } }").json()["data"] is None


@pytest.mark.parametrize(
    ("topic", "scope"),
    [
        ("REFUNDS_CREATE", "read_orders"),
        ("FULFILLMENTS_CREATE", "read_fulfillments"),
        ("INVENTORY_LEVELS_UPDATE", "read_inventory"),
        ("CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE", "read_customers"),
        ("CUSTOMERS_MERGE", "read_customer_merge"),
        ("SHOP_UPDATE", "read_themes"),
    ],
)
def test_a_topic_is_registered_by_whoever_has_its_scope(shopify: Shopify, shop: Shop, topic: str, scope: str) -> None:
    shop.scopes = (scope,)
    assert '"userErrors":[]' in ask(shopify, CREATE, topic=topic, sub={"uri": "https://x.example"}).text.replace(
        " ", ""
    )
    shop.subscriptions.clear()
    shop.scopes = ("read_products",)
    answer = ask(shopify, CREATE, topic=topic, sub={"uri": "https://x.example"}).text
    assert ("permission" in answer) == (topic != "SHOP_UPDATE")


@pytest.mark.parametrize(("field", "is_denied"), [("id", False), ("name", True)])
def test_of_a_location_all_but_its_id_needs_its_own_scope(
    shopify: Shopify, shop: Shop, field: str, *, is_denied: bool
) -> None:
    shop.add_products(1)
    shop.scopes = ("read_products",)
    levels = f"inventoryLevels(first: 5) {{ nodes {{ location {{ {field} }} }} }}"
    query = f"query {{ productVariants(first: 5) {{ nodes {{ inventoryItem {{ {levels} }} }} }} }}"
    assert ("ACCESS_DENIED" in ask(shopify, query).text) == is_denied
    shop.scopes = ("read_products", "read_locations")
    assert "errors" not in ask(shopify, query).json()
    names = ask(shopify, "query { locations(first: 5) { nodes { name } } }").json()["data"]["locations"]["nodes"]
    assert names == [{"name": "Warehouse 0"}]


def test_a_registration_keeps_what_it_was_made_with_and_brings_no_more_than_that(shopify: Shopify, shop: Shop) -> None:
    fields = "format filter includeFields apiVersion { handle }"
    create = CREATE.replace("{ id }", f"{{ {fields} }}")
    shop.allow_http = True
    with Receiver() as receiver:
        sub = {"uri": receiver.url("/here"), "includeFields": ["id", "name"], "filter": "id:1"}
        answer = ask(shopify, create, topic="ORDERS_PAID", sub=sub).json()["data"]["webhookSubscriptionCreate"]
        kept = {
            "format": "JSON",
            "filter": "id:1",
            "includeFields": ["id", "name"],
            "apiVersion": {"handle": "2026-10"},
        }
        assert answer["webhookSubscription"] == kept
        assert shop.tell("orders/paid", {"id": 1, "name": "#1", "email": "zoe@lindenhof.example"}) == [200]
    [posted] = receiver.asked
    assert (posted.json, posted.headers["x-shopify-api-version"]) == ({"id": 1, "name": "#1"}, "2026-10")
    update = f"""mutation($id: ID!, $sub: WebhookSubscriptionInput!) {{
      webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {{ webhookSubscription {{ {fields} }} }} }}"""
    changed = {"filter": None, "format": "XML", "includeFields": None}
    answer = ask(shopify, update, id=shop.subscriptions[0]["id"], sub=changed).json()["data"]
    mended = kept | {"filter": None, "format": "XML", "includeFields": []}
    assert answer["webhookSubscriptionUpdate"]["webhookSubscription"] == mended


@pytest.mark.parametrize("sub", [{}, {"uri": ""}, {"format": "JSON"}])
def test_a_registration_without_an_address_is_refused(shopify: Shopify, shop: Shop, sub: dict[str, str]) -> None:
    assert "can't be blank" in ask(shopify, CREATE, topic="ORDERS_PAID", sub=sub).text
    assert shop.subscriptions == []
